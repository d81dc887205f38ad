//! The step `restart`: both processes run, with the main.json that stands there, one host after another.
//!
//! A process reads main.json when it starts. Whether it did is told by the times of both, and by what it said when it
//! started; nothing is remembered.

use std::collections::BTreeSet;

use plan::Unknown;
use protocol::{Operation, UnitVerb};
use types::HostName;

use super::config::old_masters;
use super::health;
use super::settings::Settings;
use super::view::{FileTrouble, Node, Run, View};
use crate::common::{UNIT, action, verbs_to_run};
use crate::step::{Cx, StepPlan, Task};

/// What is done to a process, and why.
struct Need {
    verbs: Vec<UnitVerb>,
    reason: String,
}

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for host in in_order(&view, cx) {
        let Some(node) = view.node(host) else { continue };
        if !matches!(node.texts(settings), Ok(_) | Err(FileTrouble::Unknown(_))) {
            // Refused by the step `check`.
            continue;
        }
        for run in &node.runs {
            match need(settings, node, run, cx) {
                Ok(Some(need)) => all.tasks.push(task(&view, node, run, need)),
                Ok(None) => {}
                Err(unknown) => all.unplanned.push((host.clone(), unknown.to_string())),
            }
        }
    }
    expect_one_master(settings, cx, &mut all);
    all
}

/// The hosts in the order in which they are dealt with.
///
/// Where the role moves, whoever has it gives it up first, and the new master comes next: never two, and none for a
/// moment only. Hosts that serve nobody come before those that do. The master comes first where nothing serves, or where
/// hosts read groups, which are defined by it; else last, after the others have shown that they start with what is new.
fn in_order<'h>(view: &View<'_>, cx: &Cx<'h>) -> Vec<&'h HostName> {
    let settings = view.settings;
    let old = old_masters(view);
    let serves = |host: &HostName| view.node(host).is_some_and(Node::serves);
    let reads_groups = settings
        .groups
        .as_ref()
        .is_some_and(|groups| !groups.readers.is_empty());
    let master_first = !old.is_empty() || reads_groups || !settings.hosts.iter().any(serves);
    let rank = |host: &HostName| match (old.contains(host.as_str()), settings.is_master(host)) {
        (true, _) => 0,
        (_, true) if master_first => 1,
        (_, true) if serves(host) => 4,
        _ if serves(host) => 3,
        _ => 2,
    };
    let mut hosts: Vec<&HostName> = cx.hosts.iter().collect();
    hosts.sort_by_key(|host| rank(host));
    hosts
}

fn need(settings: &Settings, node: &Node<'_>, run: &Run<'_>, cx: &Cx<'_>) -> Result<Option<Need>, Unknown> {
    let unit = run.unit.as_ref().map_err(Clone::clone)?;
    node.file.as_ref().map_err(Clone::clone)?;
    if !unit.exists() {
        return Ok(None);
    }
    let mut verbs = verbs_to_run(node.host, &run.process.unit, cx.facts)?;
    let reason = if verbs.contains(&UnitVerb::Start) {
        "it does not run".to_owned()
    } else if let Some(reason) = restart_reason(settings, node, run, cx) {
        verbs.push(UnitVerb::Restart);
        reason
    } else if verbs.contains(&UnitVerb::Enable) {
        "it does not start at boot".to_owned()
    } else if verbs.is_empty() {
        return Ok(None);
    } else {
        "the unit's file was changed since systemd read it".to_owned()
    };
    Ok(Some(Need { verbs, reason }))
}

/// Why a running process must be started again; `None` where it need not.
fn restart_reason(settings: &Settings, node: &Node<'_>, run: &Run<'_>, cx: &Cx<'_>) -> Option<String> {
    if cx.writes(node.host, &settings.config) {
        return Some("its main.json changes".to_owned());
    }
    let difference = health::difference(settings, run, node.host);
    if node.is_newer_than(run) {
        return Some(difference.unwrap_or_else(|| "main.json is newer than its process".to_owned()));
    }
    // main.json was put there with an old date.
    difference
}

fn task(view: &View<'_>, node: &Node<'_>, run: &Run<'_>, need: Need) -> Task {
    let process = run.process;
    let words: Vec<&str> = need.verbs.iter().map(|verb| verb.as_str()).collect();
    let title = format!("{} {}", words.join(" and "), process.unit);
    let starts = need
        .verbs
        .iter()
        .any(|verb| matches!(verb, UnitVerb::Start | UnitVerb::Restart));
    let disrupts = need.verbs.contains(&UnitVerb::Restart);
    let operation = Operation::Unit {
        name: process.unit.clone(),
        verbs: need.verbs,
    };
    let task = Task::new(node.host, title, need.reason, action(operation, UNIT))
        .part(process.name)
        .disrupting(disrupts);
    if starts {
        task.gate(health::started(view.settings, process, node.host))
    } else {
        task
    }
}

/// After the last start of each process there is one master of it, as far as all hosts say.
fn expect_one_master(settings: &Settings, cx: &Cx<'_>, all: &mut StepPlan) {
    let reached: BTreeSet<&HostName> = cx.hosts.iter().collect();
    for process in &settings.processes {
        let last = all
            .tasks
            .iter_mut()
            .rev()
            .find(|task| task.part == process.name && !task.gates.is_empty());
        if let Some(task) = last {
            let gate = health::one_master(settings, process, &task.host, &reached);
            task.gates.push(gate);
        }
    }
}
