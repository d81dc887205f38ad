//! The tasks that start servers, and their operations, which several steps share.

use std::collections::BTreeSet;

use plan::Preview;
use protocol::facts::{Query, SsdbCommand, UnitQuery};
use protocol::{Action, Fact, FileChange, Operation, Precondition, UnitVerb};
use types::HostName;

use super::need::Need;
use crate::observe::Member;
use crate::settings::Settings;
use kit::{QUICK, Task, UNIT, action};

/// The hosts on which tasks start our unit.
pub(crate) fn started<'t>(
    settings: &Settings,
    tasks: impl Iterator<Item = &'t Task>,
) -> BTreeSet<&'t HostName> {
    let started = tasks.filter(|task| {
        let operation = task.action.as_ref().map(|action| &action.operation);
        operation.is_some_and(|operation| starts(settings, operation))
    });
    started.map(|task| &task.host).collect()
}

/// Whether an operation starts our unit.
pub(crate) fn starts(settings: &Settings, operation: &Operation) -> bool {
    match operation {
        Operation::Unit { name, verbs, .. } | Operation::UnitFiles { name, verbs, .. } => {
            *name == settings.unit
                && verbs
                    .iter()
                    .any(|verb| matches!(verb, UnitVerb::Start | UnitVerb::Restart))
        }
        _ => false,
    }
}

/// Stops the server, moves its directory aside and starts it on an empty one: one rename, so that wherever it is cut
/// off the old data are whole, and never half of them are in use. Positions and data lie in the same directory: old
/// positions with new data would be a mirror that has nothing and says that it has everything.
pub(crate) fn refill(settings: &Settings, member: &Member<'_>, need: &Need) -> Task {
    let dir = member.work_dir(settings);
    let invocation = member
        .unit
        .as_ref()
        .ok()
        .and_then(|unit| unit.invocation.get(..8));
    let aside = format!("{dir}.before-{}", invocation.unwrap_or("first-start"));
    let wanted = [UnitVerb::DaemonReload, UnitVerb::Enable].into_iter();
    let verbs = wanted.filter(|verb| need.unit.verbs.contains(verb));
    let operation = Operation::UnitFiles {
        name: settings.unit.clone(),
        first: vec![UnitVerb::Stop],
        files: vec![
            FileChange::MoveAside {
                path: dir.clone(),
                to: aside.clone(),
            },
            FileChange::MakeDirectory {
                path: dir,
                mode: 0o750,
                owner: settings.owner.clone(),
                group: settings.group.clone(),
            },
        ],
        verbs: verbs.chain([UnitVerb::Start]).collect(),
        reads: member.process(settings).reads,
    };
    let shown = shown(&operation);
    // The process that was observed, and no other.
    let same = member.unit.as_ref().ok().map(|&unit| Precondition {
        what: format!("{} was not restarted since the plan", settings.unit),
        query: UnitQuery::new(&settings.unit).wrap(),
        fact: Fact::Unit(unit.clone()),
    });
    let title = format!("fill {} again; its old data are moved to {aside}", member.host);
    let reason = need.unit.reason.to_string();
    Task::new(member.host, title, reason, action(operation, UNIT))
        .preview(Preview::Commands(shown))
        .only_if(same)
}

/// The task of a need, after a change of what the server finds.
pub(crate) fn after_change(
    settings: &Settings,
    member: &Member<'_>,
    need: &Need,
    change: FileChange,
) -> Task {
    let operation = Operation::UnitFiles {
        name: settings.unit.clone(),
        first: Vec::new(),
        files: vec![change],
        verbs: need.unit.verbs.clone(),
        reads: member.process(settings).reads,
    };
    let shown = shown(&operation);
    Task {
        action: Some(action(operation, UNIT)),
        ..member
            .process(settings)
            .task(&need.unit)
            .preview(Preview::Commands(shown))
    }
}

/// An operation as an operator would type it.
fn shown(operation: &Operation) -> Vec<String> {
    let Operation::UnitFiles {
        name,
        first,
        files,
        verbs,
        ..
    } = operation
    else {
        return Vec::new();
    };
    let tell = |verb: &UnitVerb| match verb {
        UnitVerb::DaemonReload => "systemctl daemon-reload".to_owned(),
        verb => format!("systemctl {} {name}", verb.as_str()),
    };
    let change = |change: &FileChange| match change {
        FileChange::Remove { path, .. } => format!("rm -f -- {path}"),
        FileChange::MoveAside { path, to } => format!("mv -T -- {path} {to}"),
        FileChange::MakeDirectory {
            path,
            mode,
            owner,
            group,
        } => format!("install -d -m {mode:04o} -o {owner} -g {group} -- {path}"),
    };
    let (first, verbs) = (first.iter().map(tell), verbs.iter().map(tell));
    first.chain(files.iter().map(change)).chain(verbs).collect()
}

/// Commands to a server, as an action.
pub(crate) fn on_server(settings: &Settings, host: &HostName, commands: Vec<SsdbCommand>) -> Action {
    let operation = Operation::Ssdb {
        // Where its peers reach it: by now it listens there.
        address: settings.place(host).to_owned(),
        port: settings.port,
        password: Some(settings.password.clone()),
        commands,
        until: None,
    };
    action(operation, QUICK)
}
