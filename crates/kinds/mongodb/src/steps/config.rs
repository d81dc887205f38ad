//! The step `config`: mongod.conf says what the inventory says, and everything else that it said before.

use plan::Preview;
use protocol::facts::FileMeta;
use protocol::{FileState, Operation, Text};
use serde_json::Value;
use types::HostName;

use crate::observe::view::View;
use crate::settings::Settings;
use crate::steps::check::obstacle;
use formats::mongod_conf::{Change, Conf};
use kit::{Cx, StepPlan, Task, obstructed};
use kit::{QUICK, action};

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
    for node in cx.hosts.iter().filter_map(|host| view.node(host)) {
        let host = node.host;
        if obstacle(&view, node, cx).is_some() {
            // The step `check` says why.
            continue;
        }
        let fact = match &node.file {
            Ok(fact) => *fact,
            Err(unknown) => {
                all.unplanned.push((host.clone(), unknown.to_string()));
                continue;
            }
        };
        if let Some(obstacle) = fact.meta().and_then(FileMeta::obstacle) {
            all.refusals
                .push(obstructed(host, &settings.config_path, &obstacle));
            continue;
        }
        let is_coming = !settings.package.is_empty() && cx.installs(host, &settings.package);
        let found = match fact.meta() {
            Some(meta) => edit(settings, host, meta, fact.state()),
            None if is_coming => create(settings, host, FileState::Any),
            None if node.unit.as_ref().is_ok_and(|unit| unit.exists()) => {
                create(settings, host, FileState::Absent)
            }
            None => Err(format!(
                "{} is not there: install MongoDB first, and plan again",
                settings.config_path
            )),
        };
        match found {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    all
}

fn edit(
    settings: &Settings,
    host: &HostName,
    meta: &FileMeta,
    was: FileState,
) -> Result<Option<Task>, String> {
    let path = &settings.config_path;
    let before = meta
        .text
        .as_ref()
        .ok_or_else(|| format!("{path} is not a text"))?;
    let conf = Conf::parse(before.as_str()).map_err(|bad| bad.why)?;
    let changes = changes(settings, host, &conf);
    if changes.is_empty() {
        return Ok(None);
    }
    let after = Text::new(conf.edit(&changes).map_err(|bad| bad.why)?);
    let keys: Vec<&str> = changes.iter().map(|(key, _)| key.as_str()).collect();
    let reason = format!("it says otherwise of {}", keys.join(", "));
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: after.clone(),
        mode: meta.mode,
        owner: meta.owner.clone(),
        group: meta.group.clone(),
        was,
    };
    let preview = Preview::File {
        path: path.clone(),
        before: Some(before.clone()),
        after,
    };
    Ok(Some(
        Task::new(host, format!("change {path}"), reason, action(operation, QUICK)).preview(preview),
    ))
}

fn create(settings: &Settings, host: &HostName, was: FileState) -> Result<Option<Task>, String> {
    let path = &settings.config_path;
    let conf = Conf::parse(PACKAGED).map_err(|bad| bad.why)?;
    let text = conf
        .edit(&changes(settings, host, &conf))
        .map_err(|bad| bad.why)?;
    let after = Text::new(text);
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: after.clone(),
        mode: 0o644,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was,
    };
    let preview = Preview::File {
        path: path.clone(),
        before: None,
        after,
    };
    let reason = "it is missing";
    Ok(Some(
        Task::new(host, format!("create {path}"), reason, action(operation, QUICK)).preview(preview),
    ))
}

/// The keys that say something else than they should.
pub(crate) fn changes(settings: &Settings, host: &HostName, conf: &Conf) -> Vec<Change> {
    let wanted = settings.conf(host).into_iter();
    wanted
        .filter(|(path, value)| !is_said(path, value.as_ref(), |path| conf.get(path)))
        .collect()
}

/// Whether a key says what is wanted, in the file or in a running process, directly or by what the server takes when it
/// is not there.
pub(crate) fn is_said<'c>(
    path: &str,
    wanted: Option<&Value>,
    get: impl Fn(&str) -> Option<&'c Value>,
) -> bool {
    let found = get(path);
    match (wanted, found) {
        (None, found) => found.is_none_or(|found| found == &Value::Bool(false)),
        (Some(wanted), None) => match path {
            "net.port" => wanted == &Value::from(27017),
            // A key file implies it.
            "security.authorization" => get("security.keyFile").is_some(),
            _ => false,
        },
        (Some(wanted), Some(found)) if path == "net.bindIp" => addresses(wanted) == addresses(found),
        (Some(wanted), Some(found)) => wanted == found || text(wanted) == text(found),
    }
}

/// `"2"` and `2` are the same to mongod.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The order of addresses means nothing.
fn addresses(value: &Value) -> std::collections::BTreeSet<String> {
    let text = text(value);
    text.split(',').map(|address| address.trim().to_owned()).collect()
}
