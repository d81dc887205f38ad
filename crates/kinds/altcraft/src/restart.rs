//! The step `restart`: both processes run, with the main.json that stands there, one host after another.
//!
//! A process reads main.json when it starts. Whether it did is told by the times of both, and by what it said when it
//! started; nothing is remembered.

use std::collections::BTreeSet;

use plan::Unknown;
use protocol::{Operation, UnitVerb};
use types::HostName;

use super::config::{self, old_masters, role_moves};
use super::health;
use super::settings::Settings;
use super::view::{FileTrouble, Node, Run, View};
use kit::{ASKED, Cx, StepPlan, Task};
use kit::{UNIT, action, verbs_to_run};

/// What is done to a process, and why.
struct Need {
    verbs: Vec<UnitVerb>,
    reason: String,
}

/// What tells a start in between from the one that counts.
const FIRST: &str = "-first";

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let moves = role_moves(&view);
    for turn in in_order(&view, cx) {
        match turn {
            Turn::Demote(former) => demote(&view, former, cx, &mut all),
            Turn::Start(node) => start_as_it_is(settings, node, &mut all),
            Turn::Renew(node) => renew(settings, node, cx, moves, &mut all),
        }
    }
    expect_one_master(&view, cx, &mut all);
    all
}

/// What is done on one host.
enum Turn<'v, 'a> {
    /// One that is no member any more, and has the role, gives it up.
    Demote(&'v Node<'a>),
    /// The one that is to be the master serves nobody, and another still has the role: it is started as it is, to take the
    /// other's place meanwhile.
    Start(&'v Node<'a>),
    /// It comes to run with the main.json that it should have.
    Renew(&'v Node<'a>),
}

/// The hosts in the order in which they are dealt with.
///
/// Where the role moves, whoever has it gives it up first, and the new master comes next: never two, and none for a
/// moment only. Hosts that serve nobody come before those that do. The master comes first where nothing serves, where there
/// is none, or where hosts read groups, which are defined by it; else last, after the others have shown that they start
/// with what is new.
fn in_order<'v, 'a>(view: &'v View<'a>, cx: &Cx<'_>) -> Vec<Turn<'v, 'a>> {
    let settings = view.settings;
    let old = old_masters(view);
    let is_old = |node: &Node<'_>| old.contains(node.host.as_str());
    let reads_groups = settings
        .groups
        .as_ref()
        .is_some_and(|groups| !groups.readers.is_empty());
    let moves = role_moves(view);
    let master_first = moves || reads_groups || !view.nodes.iter().any(Node::serves);
    let rank = |node: &Node<'_>| match (is_old(node), settings.is_master(node.host)) {
        (true, _) | (_, true) if !node.serves() && (is_old(node) || !moves) => 0,
        (true, _) => 2,
        (_, true) if master_first => 3,
        (_, true) if node.serves() => 5,
        _ if node.serves() => 4,
        _ => 1,
    };
    let mut nodes: Vec<&Node<'_>> = cx.hosts.iter().filter_map(|host| view.node(host)).collect();
    nodes.sort_by_key(|node| rank(node));
    let formers = view
        .formers()
        .filter(|former| cx.others.contains(former.host) && is_old(former));
    let mut turns: Vec<(u8, Turn<'_, '_>)> = formers.map(|former| (2, Turn::Demote(former))).collect();
    turns.extend(nodes.into_iter().map(|node| (rank(node), Turn::Renew(node))));
    let wanted = view
        .node(&settings.master)
        .filter(|node| cx.hosts.contains(node.host));
    if let Some(node) = wanted
        && old_serves(view, &old)
        && !node.serves()
        && !node.names_itself_master()
        && node.named_masters(&settings.processes[0]).len() == 1
    {
        turns.push((1, Turn::Start(node)));
    }
    turns.sort_by_key(|(rank, _)| *rank);
    turns.into_iter().map(|(_, turn)| turn).collect()
}

fn old_serves(view: &View<'_>, old: &BTreeSet<String>) -> bool {
    view.all()
        .any(|node| old.contains(node.host.as_str()) && node.serves())
}

/// A host that leaves comes to run as no master; it serves to the end.
fn demote(view: &View<'_>, former: &Node<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
    let settings = view.settings.with(former.host);
    // The new master may not serve yet, and cannot before this one has given the role up.
    let serves = |host: &&HostName| {
        let node = view.node(host);
        !settings.is_master(host) || node.is_some_and(|node| node.serves() || was_started(all, node))
    };
    let by_then: BTreeSet<&HostName> = cx.hosts.iter().filter(serves).collect();
    let after = match former.texts(&settings) {
        Ok((before, after)) => (*before != after).then_some(after),
        Err(_) => {
            // What it would do with a file that nobody can read is not known: the step `leave` stops it.
            return;
        }
    };
    let file = after.and_then(|after| config::write(&settings, former, after));
    all.tasks.extend(file.map(|task| task.part("main.json")));
    for run in former.runs.iter().filter(|run| run.is_active()) {
        let need = Need {
            verbs: vec![UnitVerb::Restart],
            reason: "it is no host of this service any more, and gives the role up".to_owned(),
        };
        // It is no member, and the budget is not about it; the gate is.
        let task = task(&settings, former, run, need).disrupting(false);
        let others = health::others_serve(&settings, former.host, &by_then);
        all.tasks.push(task.before(others));
    }
}

fn start_as_it_is(settings: &Settings, node: &Node<'_>, all: &mut StepPlan) {
    for run in node.runs.iter().filter(|run| !run.is_active()) {
        let need = Need {
            verbs: vec![UnitVerb::Start],
            reason: "it does not run, and takes the place of the old master while that gives the role up"
                .to_owned(),
        };
        let mut task = task(settings, node, run, need).part(format!("{}{FIRST}", run.process.name));
        task.gates = vec![health::serving(settings, run.process, node.host)];
        all.tasks.push(task);
    }
}

fn renew(settings: &Settings, node: &Node<'_>, cx: &Cx<'_>, moves: bool, all: &mut StepPlan) {
    let after = match node.texts(settings) {
        Ok((before, after)) => (*before != after).then_some(after),
        Err(FileTrouble::Unknown(_)) => None,
        // Refused by the step `check`.
        Err(_) => return,
    };
    // Where the role moves, each main.json is written in its host's turn.
    let file = after
        .filter(|_| moves)
        .and_then(|after| config::write(settings, node, after));
    let is_written = file.is_some() || cx.writes(node.host, &settings.config);
    all.tasks.extend(file.map(|task| task.part("main.json")));
    for run in &node.runs {
        match need(settings, node, run, is_written, cx) {
            Ok(Some(need)) => {
                let need = need.after(was_started(all, node));
                all.tasks.push(task(settings, node, run, need));
            }
            Ok(None) => {}
            Err(unknown) => all.unplanned.push((node.host.clone(), unknown.to_string())),
        }
    }
}

/// Whether a host was started as it was.
fn was_started(all: &StepPlan, node: &Node<'_>) -> bool {
    let mut tasks = all.tasks.iter().filter(|task| task.host == *node.host);
    tasks.any(|task| task.part.ends_with(FIRST))
}

impl Need {
    /// What is started already is started again.
    fn after(mut self, was_started: bool) -> Self {
        for verb in self
            .verbs
            .iter_mut()
            .filter(|verb| was_started && **verb == UnitVerb::Start)
        {
            *verb = UnitVerb::Restart;
        }
        self
    }
}

fn need(
    settings: &Settings,
    node: &Node<'_>,
    run: &Run<'_>,
    is_written: bool,
    cx: &Cx<'_>,
) -> Result<Option<Need>, Unknown> {
    let unit = run.unit.as_ref().map_err(Clone::clone)?;
    node.file.as_ref().map_err(Clone::clone)?;
    if !unit.exists() {
        return Ok(None);
    }
    let mut verbs = verbs_to_run(node.host, &run.process.unit, cx.facts)?;
    let reason = if verbs.contains(&UnitVerb::Start) {
        "it does not run".to_owned()
    } else if let Some(reason) = restart_reason(settings, node, run, is_written, cx) {
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
fn restart_reason(
    settings: &Settings,
    node: &Node<'_>,
    run: &Run<'_>,
    is_written: bool,
    cx: &Cx<'_>,
) -> Option<String> {
    if is_written {
        return Some("its main.json changes".to_owned());
    }
    let difference = health::difference(settings, run, node.host);
    if node.is_newer_than(run) {
        return Some(difference.unwrap_or_else(|| "main.json is newer than its process".to_owned()));
    }
    // main.json was put there with an old date.
    difference.or_else(|| {
        let is_asked = cx.asks_restart(node.host, &run.process.unit);
        is_asked.then(|| ASKED.to_owned())
    })
}

fn task(settings: &Settings, node: &Node<'_>, run: &Run<'_>, need: Need) -> Task {
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
        task.gate(health::started(settings, process, node.host))
    } else {
        task
    }
}

/// After the last start of each process there is one master of it, as far as all hosts say.
fn expect_one_master(view: &View<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
    let settings = view.settings;
    let mut reached: BTreeSet<&HostName> = cx.hosts.iter().collect();
    reached.extend(
        view.formers()
            .map(|former| former.host)
            .filter(|host| cx.others.contains(host)),
    );
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
