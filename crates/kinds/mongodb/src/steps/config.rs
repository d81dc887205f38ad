//! The step `config`: mongod.conf gets the inventory's keys, and keeps all others.

use formats::mongod_conf::Conf;
use kit::{Cx, QUICK, StepPlan, Task, action, obstructed};
use plan::Preview;
use protocol::facts::FileMeta;
use protocol::{CANDIDATE, FileState, Operation, Text};

use crate::observe::{Member, View};
use crate::rules::member_blocker::member_blocker;
use crate::rules::mongod_conf::changes;
use crate::settings::Settings;

/// The file of the packages, for a host on which they are only just being installed, or that lost it.
const PACKAGED: &str = "\
# mongod.conf
# for documentation of all options, see:
#   https://www.mongodb.com/docs/manual/reference/configuration-options/

storage:
  dbPath: /var/lib/mongodb

systemLog:
  destination: file
  logAppend: true
  logRotate: reopen
  path: /var/log/mongodb/mongod.log
";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.listed_on(cx.hosts) {
        let (host, path) = (member.host, &settings.config_path);
        if member_blocker(&view, member, cx).is_some() {
            // The step `check` says why.
            continue;
        }
        let fact = match &member.conf_file {
            Ok(fact) => *fact,
            Err(unknown) => {
                all.unplanned.push((host.clone(), unknown.to_string()));
                continue;
            }
        };
        if let Some(obstacle) = fact.meta().and_then(FileMeta::obstacle) {
            all.refusals.push(obstructed(host, path, &obstacle));
            continue;
        }
        let is_coming = !settings.package.is_empty() && cx.installs(host, &settings.package);
        let is_installed = member.unit.as_ref().is_ok_and(|unit| unit.exists());
        let task = match fact.meta() {
            Some(meta) => write(settings, member, Some(meta), fact.state()),
            None if is_coming => write(settings, member, None, FileState::Any),
            None if is_installed => write(settings, member, None, FileState::Absent),
            None => Err(format!(
                "{path} does not exist: install MongoDB first, and plan again"
            )),
        };
        all.add(host, task);
    }
    all
}

/// Edits the file; one that is missing becomes the packages' file with the inventory's keys.
fn write(
    settings: &Settings,
    member: &Member<'_>,
    found: Option<&FileMeta>,
    was: FileState,
) -> Result<Option<Task>, String> {
    let (host, path) = (member.host, &settings.config_path);
    let before = match found {
        Some(meta) => Some(meta.text.clone().ok_or_else(|| format!("{path} is not a text"))?),
        None => None,
    };
    let conf = Conf::parse(before.as_ref().map_or(PACKAGED, Text::as_str)).map_err(|bad| bad.why)?;
    let changes = changes(settings, member, &conf);
    if changes.is_empty() {
        return Ok(None);
    }
    let keys: Vec<&str> = changes.iter().map(|(key, _)| key.as_str()).collect();
    let after = Text::new(conf.edit(&changes).map_err(|bad| bad.why)?);
    let (verb, reason, mode, owner, group) = match found {
        Some(meta) => {
            let differ = if keys.len() == 1 { "differs" } else { "differ" };
            let reason = format!("{} {differ}", keys.join(", "));
            (
                "change",
                reason,
                meta.mode,
                meta.owner.as_str(),
                meta.group.as_str(),
            )
        }
        None => ("create", "it is missing".to_owned(), 0o644, "root", "root"),
    };
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: after.clone(),
        mode,
        owner: owner.to_owned(),
        group: group.to_owned(),
        was,
        trial: None,
    };
    let preview = Preview::File {
        path: path.clone(),
        before,
        after,
    };
    let task = Task::new(host, format!("{verb} {path}"), reason, action(operation, QUICK)).preview(preview);
    Ok(Some(match trial(member) {
        Some(argv) => task.tried_by(argv),
        None => task,
    }))
}

/// How the member's own program tries a file. `--outputConfig` came with 4.2; it ends between the validation of the options and
/// their use (`util/options_parser/options_parser_init.cpp`), so no log, no data and no process are touched. A file whose options
/// a command line completes or contradicts is not tried without that.
fn trial<'m>(member: &'m Member<'_>) -> Option<[&'m str; 4]> {
    let program = member.program.as_deref()?;
    member.version().filter(|version| *version >= (4, 2))?;
    Some([program, "--config", CANDIDATE, "--outputConfig"])
}
