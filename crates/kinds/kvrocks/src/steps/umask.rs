//! The umask of Kvrocks: CONFIG REWRITE, which follows each failover, makes a new file with passwords in it.
//!
//! A file that is laid over its unit is in force from the next start on. Nobody is restarted for it: after a failover of ours,
//! the file of a process that was started without it gets its mode back.

use plan::Unknown;
use protocol::{DirectoryState, FileState, Operation, Text};

use crate::observe::{Member, queries};
use crate::settings::{Settings, owner};
use kit::{Cx, DesiredFile, QUICK, Task, action};

/// The mode of the engine's file.
pub(super) const MODE: u32 = 0o640;

const DROP_IN: &str = "\
# Written by clusterctl: CONFIG REWRITE makes a new configuration file, with passwords in it.
[Service]
UMask=0027
";

/// What is laid over the unit.
pub(super) fn plan(member: &Member<'_>, cx: &Cx<'_>) -> Result<Vec<Task>, Unknown> {
    let (settings, host) = (member.settings, member.host);
    let Some([directory, file]) = queries::drop_in(settings) else {
        return Ok(Vec::new());
    };
    let mut tasks = Vec::new();
    if cx.facts.get(host, &directory)?.meta().is_none() {
        let title = format!("make {}", directory.path);
        let operation = Operation::MakeDirectory {
            path: directory.path,
            mode: 0o755,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            was: DirectoryState::Absent,
        };
        let task = Task::new(host, title, "it is missing", action(operation, QUICK));
        tasks.push(task.part("unit-directory"));
    }
    let file = DesiredFile {
        query: &file,
        text: Text::new(DROP_IN),
        mode: 0o644,
        owner: "root",
        group: "root",
    };
    tasks.extend(file.plan(host, cx.facts)?.map(|task| task.part("unit")));
    Ok(tasks)
}

/// Gives the file of an engine its mode after a failover, where the process was started without the umask. `planned` are the
/// tasks that come before.
pub(super) fn after_failover<'t>(
    settings: &Settings,
    member: &Member<'_>,
    mut planned: impl Iterator<Item = &'t Task>,
) -> Option<Task> {
    let host = member.host;
    let starts = |operation: &Operation| operation.started_unit() == Some(&settings.unit);
    let is_started = planned.any(|task| {
        let operation = task.action.as_ref().map(|action| &action.operation);
        task.host == *host && operation.is_some_and(starts)
    });
    if member.has_umask() || is_started || !member.engine.is_up() {
        return None;
    }
    let (path, (user, group)) = (settings.config.clone(), owner(&settings.owner));
    let title = format!("give {path} the mode {MODE:04o}");
    let operation = Operation::SetAccess {
        path,
        mode: MODE,
        owner: user.to_owned(),
        group: group.to_owned(),
        was: FileState::Any,
    };
    let reason = "the failover makes Kvrocks write a new file, which everybody can read";
    let task = Task::new(host, title, reason, action(operation, QUICK));
    Some(task.part("mode"))
}
