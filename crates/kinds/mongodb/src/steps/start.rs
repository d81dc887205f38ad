//! The step `start`: servers that serve nobody yet run, and run with what their files say.
//!
//! Members of the set that run are the business of the step `restart`; here are those that are off, and those that are
//! not in the set yet, so all hosts may go at once.

use plan::Level;
use protocol::facts::{Bson, MongoCommand, MongoFact, Query};
use protocol::{Action, Fact, Operation, Precondition, UnitVerb};
use serde_json::Value;

use crate::checks::gates;
use crate::observe::queries::ask_as_nobody;
use crate::observe::view::{Node, Place, Server, Up, View};
use crate::settings::Settings;
use crate::steps::config::is_said;
use kit::{ASKED, Cx, StepPlan, Task};
use kit::{UNIT, action, verbs_to_run};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for node in cx.hosts.iter().filter_map(|host| view.node(host)) {
        match need(&view, node, cx) {
            Ok(Some((verbs, reason))) => {
                note_interruption(settings, node, &verbs, &mut all);
                all.tasks.push(task(&view, node, verbs, reason));
            }
            Ok(None) => {}
            Err(why) => all.unplanned.push((node.host.clone(), why)),
        }
    }
    all
}

/// Whether this step starts a server that is off, or one anew that is not in the set.
pub(crate) fn starts(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> bool {
    let starts = |verbs: &[UnitVerb]| verbs.contains(&UnitVerb::Start) || verbs.contains(&UnitVerb::Restart);
    cx.hosts.contains(node.host) && matches!(need(view, node, cx), Ok(Some((verbs, _))) if starts(&verbs))
}

type Need = Option<(Vec<UnitVerb>, String)>;

fn need(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Result<Need, String> {
    let (settings, host) = (view.settings, node.host);
    if !settings.package.is_empty() && cx.installs(host, &settings.package) {
        let verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
        return Ok(Some((
            verbs,
            format!("{} is installed by this plan", settings.package),
        )));
    }
    let unit = node.unit.as_ref().map_err(ToString::to_string)?;
    if !unit.exists() {
        return Err(format!(
            "there is no unit {} on {host}: install MongoDB first",
            settings.unit
        ));
    }
    let mut verbs = verbs_to_run(host, &settings.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    if verbs.contains(&UnitVerb::Start) {
        return Ok(Some((verbs, "it does not run".to_owned())));
    }
    let is_outside = match (&node.server, node.place(settings)) {
        (Server::Down(_), _) => true,
        (_, Some(place)) => matches!(place, Place::Standalone | Place::Blank),
        _ => false,
    };
    if is_outside && let Some(reason) = pending(settings, node, cx) {
        verbs.push(UnitVerb::Restart);
        return Ok(Some((verbs, reason)));
    }
    if verbs.is_empty() {
        return Ok(None);
    }
    let reason = if verbs.contains(&UnitVerb::Enable) {
        "it does not start at boot"
    } else {
        "the unit's file was changed since systemd read it"
    };
    Ok(Some((verbs, reason.to_owned())))
}

/// Why a process must be started again to run with what its files say; `None` where it need not.
///
/// Options are compared where the process tells them. Where it does not, and for the key, whose content it never tells,
/// files that are newer than the process decide.
pub(crate) fn pending(settings: &Settings, node: &Node<'_>, cx: &Cx<'_>) -> Option<String> {
    let is_new = |path: &str, fact: Option<&protocol::facts::FileFact>| {
        cx.writes(node.host, path) || fact.is_some_and(|fact| node.is_newer(fact))
    };
    let mut reasons = Vec::new();
    if is_new(&settings.config_path, node.file.as_ref().ok().copied()) {
        match node.server.up().and_then(Up::options) {
            Some(parsed) => reasons = differences(settings, node, parsed),
            None => reasons.push(format!("{} is newer than its process", settings.config_path)),
        }
    }
    if let (Some(keyfile), Some(fact)) = (&settings.keyfile, &node.keyfile)
        && is_new(&keyfile.path, fact.as_ref().ok().copied())
    {
        reasons.push("its key file is newer than its process".to_owned());
    }
    if reasons.is_empty() && cx.asks_restart(node.host, &settings.unit) {
        reasons.push(ASKED.to_owned());
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// What a process runs with and should not, in words.
fn differences(settings: &Settings, node: &Node<'_>, parsed: &Bson) -> Vec<String> {
    let live = live_values(parsed);
    let get = |path: &str| {
        live.iter()
            .find(|(known, _)| known == path)
            .map(|(_, value)| value)
    };
    let wanted = settings.conf(node.host).into_iter();
    let wanted = wanted.filter(|(path, value)| !is_said(path, value.as_ref(), get));
    let (mut differences, mut missing) = (Vec::new(), Vec::new());
    for (path, value) in wanted {
        match (get(&path), value) {
            (Some(found), Some(value)) => {
                differences.push(format!("it runs with {path} {found} instead of {value}"));
            }
            (_, None) => differences.push(format!("it runs with {path}")),
            (None, Some(_)) => missing.push(path),
        }
    }
    if !missing.is_empty() {
        differences.push(format!("it runs without {}", missing.join(", ")));
    }
    differences
}

/// The options by dotted path, as `getCmdLineOpts` nests them.
fn live_values(parsed: &Bson) -> Vec<(String, Value)> {
    fn collect(prefix: &str, value: &Bson, into: &mut Vec<(String, Value)>) {
        for (name, value) in value.fields() {
            // `--replSet` on a command line shows under another name than the key of the file.
            let name = if name == "replSet" { "replSetName" } else { name };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            };
            let scalar = match value {
                Bson::Doc(_) => {
                    collect(&path, value, into);
                    continue;
                }
                Bson::Bool(flag) => Value::from(*flag),
                Bson::Str(text) => Value::from(text.as_str()),
                other => match (other.as_int(), other.as_f64()) {
                    (Some(whole), _) => whole.into(),
                    (None, Some(number)) => number.into(),
                    (None, None) => other.to_string().into(),
                },
            };
            into.push((path, scalar));
        }
    }
    let mut values = Vec::new();
    collect("", parsed, &mut values);
    values
}

fn note_interruption(settings: &Settings, node: &Node<'_>, verbs: &[UnitVerb], all: &mut StepPlan) {
    if let Some(what) = node.held(settings)
        && verbs.contains(&UnitVerb::Restart)
    {
        let text = format!("it is restarted, and holds {what}: whoever uses it is interrupted");
        all.note(Level::Warning, Some(node.host), text);
    }
}

fn task(view: &View<'_>, node: &Node<'_>, verbs: Vec<UnitVerb>, reason: String) -> Task {
    let (settings, host) = (view.settings, node.host);
    let name = settings.unit.trim_end_matches(".service");
    let words = if verbs.contains(&UnitVerb::Restart) {
        "restart"
    } else if verbs.contains(&UnitVerb::Start) {
        "start"
    } else if verbs.contains(&UnitVerb::Enable) {
        "enable"
    } else {
        "reload systemd for"
    };
    // An old member comes back; others only have to be ready for the set.
    let is_known = view
        .config()
        .is_some_and(|config| config.member(&settings.member_name(host)).is_some());
    let gate = if is_known && node.server.up().is_none() {
        gates::serves(view, host)
    } else {
        gates::answers(settings, host)
    };
    let only_if = verbs
        .contains(&UnitVerb::Restart)
        .then(|| is_still_off(settings, node));
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs,
    };
    let action = Action {
        only_if: only_if.flatten().into_iter().collect(),
        ..action(operation, UNIT)
    };
    Task::new(host, format!("{words} {name}"), reason, action).gate(gate)
}

/// A server that runs and does not answer still does not: it may only have been starting, and be the primary by now.
fn is_still_off(settings: &Settings, node: &Node<'_>) -> Option<Precondition> {
    let Server::Down(why) = &node.server else {
        return None;
    };
    let hello = MongoCommand::new("hello", 1).only(&["setName"]);
    Some(Precondition {
        what: format!("{} does not answer", node.host),
        query: ask_as_nobody(settings.port, vec![hello]).wrap(),
        fact: Fact::Mongo(MongoFact::Down(why.clone())),
    })
}
