//! The steps `start` and `restart`: servers run, and run with what their files say.
//!
//! What serves nobody is started at once. What serves is restarted in its turn, while all others serve, and only when
//! its links and the canaries have told that everything flows again is the next one touched. Before all mirrors are
//! linked no application may write, for what one of them copies then it may get a second time (queues double).

use std::collections::BTreeSet;

use plan::{Gate, Level, Preview};
use protocol::facts::{Query, SsdbCommand, SsdbFact, SsdbReach, SsdbReply};
use protocol::{Action, Fact, FileChange, FileState, Operation, Precondition, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::queries;
use crate::observe::view::{Node, Server, View};
use crate::rules::need::{How, Need, hosts_with, need, stalled};
use crate::settings::Settings;
use crate::steps::canary;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, UNIT, action};

/// Time limit for changes that mean nothing, in milliseconds: there may be millions of them.
const OVERTAKE: u64 = 3_600_000;

/// Starts what serves nobody, side by side.
pub(crate) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        let Some(node) = view.node(host) else { continue };
        match need(&view, node, cx) {
            Ok(Some(need)) => all.tasks.extend(start(&view, node, &need, &mut all.notes)),
            Ok(None) => {}
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    let formers = view.staying().filter(|former| cx.others.contains(former.host));
    for former in formers.filter(|former| view.is_to_start(former)) {
        let need = Need {
            how: How::Start,
            verbs: vec![UnitVerb::Start],
            reason: "it is to leave and does not run, and members may lack what clients wrote there"
                .to_owned(),
        };
        all.tasks.extend(start(&view, former, &need, &mut all.notes));
    }
    all
}

fn start(view: &View<'_>, node: &Node<'_>, need: &Need, notes: &mut Vec<plan::Note>) -> Option<Task> {
    let (settings, host) = (view.settings, node.host);
    // Of the others nothing is asked before all are started.
    let gate = checks::gate(settings, checks::ANSWERS, host, &[host], settings.start_timeout);
    match need.how {
        How::Start => {
            if node.is_active() && view.serves(node) {
                let text =
                    "all members are restarted at the same time: none serves until they are linked again";
                notes.push(warning(host, text));
            }
            let mut task = tell(settings, host, need).gate(gate);
            if let Some(action) = &mut task.action {
                action.only_if.extend(still_silent(settings, node, need));
            }
            Some(match stale_pid_file(settings, node) {
                Some(first) => with_start(task, first, settings, need),
                None => task,
            })
        }
        How::StartEmpty => Some(refill(view, node, need).gate(gate)),
        How::Quiet => Some(tell(settings, host, need)),
        How::Roll | How::Reconnect | How::Last | How::Refill | How::Overtake => None,
    }
}

/// Plans the step `link`: waits until what was started is linked with all that serve, and until what copies still has all.
/// No gate of it passes before every link of every member is in sync, for what is written before that may be doubled.
pub(crate) fn plan_link(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let started = hosts_with(&view, cx, &[How::Start, How::StartEmpty]);
    let serves = |host: &HostName| view.node(host).is_some_and(|node| view.serves(node));
    let members = cx
        .hosts
        .iter()
        .filter(|host| started.contains(host) || serves(host));
    // What clients wrote on a host that leaves is copied before it does.
    let leaving = view.staying().filter(|former| view.is_source(former));
    let watched: Vec<&HostName> = members.chain(leaving.map(|former| former.host)).collect();
    for host in cx.hosts {
        let Some(node) = view.node(host) else { continue };
        match need(&view, node, cx) {
            Ok(Some(need)) if started.contains(host) && watched.len() > 1 => {
                let is_forgotten = forgotten(&view, node, &need) > 0;
                let check = if is_forgotten {
                    checks::FILLED
                } else {
                    checks::LINKED
                };
                all.tasks
                    .push(wait(settings, host, "it was started", check, &watched));
            }
            Ok(None) => {
                let masters = view.copied(node);
                if !masters.is_empty() {
                    let reason = "it copies still, and does not serve before it has all";
                    all.tasks
                        .push(wait(settings, host, reason, checks::FILLED, &masters));
                }
            }
            _ => {}
        }
    }
    all
}

fn wait(settings: &Settings, host: &HostName, reason: &str, check: &str, watched: &[&HostName]) -> Task {
    let gate = checks::gate(settings, check, host, watched, settings.sync_timeout);
    Task::wait(host, format!("wait for the links of {host}"), reason, gate)
}

/// A server that runs and does not answer still does not: it may only have been starting, and serve by now.
fn still_silent(settings: &Settings, node: &Node<'_>, need: &Need) -> Option<Precondition> {
    let Server::Down(why) = &node.server else {
        return None;
    };
    let [query, _] = queries::servers(settings, node.host);
    need.verbs.contains(&UnitVerb::Restart).then(|| Precondition {
        what: format!("{} still does not answer", node.host),
        query: query.wrap(),
        fact: Fact::Ssdb(SsdbFact::Down(why.clone())),
    })
}

/// How many changes the peers remember of a host that will know of none, because it starts without data.
fn forgotten(view: &View<'_>, node: &Node<'_>, need: &Need) -> u64 {
    let is_empty = match need.how {
        How::StartEmpty | How::Refill => true,
        How::Start => !node.may_hold_data(view.settings),
        _ => false,
    };
    if is_empty { view.remembered(node.host) } else { 0 }
}

fn warning(host: &HostName, text: &str) -> plan::Note {
    plan::Note {
        level: Level::Warning,
        service: None,
        host: Some(host.clone()),
        text: text.to_owned(),
    }
}

/// A killed server leaves its pid file, and one that is started with `-d` does not start while it is there (seen).
fn stale_pid_file(settings: &Settings, node: &Node<'_>) -> Option<FileChange> {
    let is_stale = node.pid_file != FileState::Absent && !node.is_active();
    is_stale.then(|| FileChange::Remove {
        path: queries::pid_file(settings).path,
        was: node.pid_file.clone(),
    })
}

/// The same verbs after a change of what the server finds.
fn with_start(task: Task, change: FileChange, settings: &Settings, need: &Need) -> Task {
    let operation = Operation::UnitFiles {
        name: settings.unit.clone(),
        first: Vec::new(),
        files: vec![change],
        verbs: need.verbs.clone(),
    };
    let shown = shown(&operation);
    Task {
        action: Some(action(operation, UNIT)),
        ..task.preview(Preview::Commands(shown))
    }
}

/// An operation as an operator would type it.
fn shown(operation: &Operation) -> Vec<String> {
    let Operation::UnitFiles {
        name,
        first,
        files,
        verbs,
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

/// Restarts what serves, one member after another.
pub(crate) fn plan_restart(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    // Those that lack data first: until they have them, nobody else may go; then those whose links stall. The one that
    // holds all the data last.
    let mend = [How::Start, How::StartEmpty, How::Refill, How::Overtake];
    each(&view, &mend, cx, &mut all);
    let begun = all.tasks.len();
    each(&view, &[How::Reconnect, How::Roll, How::Last], cx, &mut all);
    if all.tasks[begun..].iter().any(|task| task.disrupts) {
        // Before anybody goes all others must have what clients wrote: whoever came back a moment ago says SYNC too. Of
        // those whose links stall it is known that they have not.
        let everybody: Vec<&HostName> = cx.hosts.iter().collect();
        let stalled = hosts_with(&view, cx, &[How::Reconnect]);
        let started = started(settings, cx.earlier.iter().chain(&all.tasks[..begun]));
        let first = canary::write_first(&view, &everybody, &started, &stalled);
        all.tasks.splice(begun..begun, first);
    }
    all
}

fn each(view: &View<'_>, hows: &[How], cx: &Cx<'_>, all: &mut StepPlan) {
    for how in hows {
        for host in cx.hosts {
            let Some(node) = view.node(host) else { continue };
            // What cannot be told was said by the step `start`.
            let Ok(Some(need)) = need(view, node, cx) else {
                continue;
            };
            if need.how == *how {
                one(view, node, &need, cx, all);
            }
        }
    }
}

fn one(view: &View<'_>, node: &Node<'_>, need: &Need, cx: &Cx<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, node.host);
    if matches!(need.how, How::Start | How::StartEmpty) {
        let changes = forgotten(view, node, need);
        if changes > 0 {
            all.tasks.extend(overtake(
                view,
                host,
                changes,
                &cx.hosts.iter().collect::<Vec<_>>(),
            ));
        }
        return;
    }
    let serves_alone = need.how == How::Last;
    // One that lacks data serves nobody whom it could leave alone, and none of the others waits for another.
    let is_needed = !matches!(need.how, How::Last | How::Refill);
    if is_needed && let Some(why) = missing(view, host, cx) {
        all.unplanned.push((
            host.clone(),
            format!("it is not restarted ({}): {why}", need.reason),
        ));
        return;
    }
    let everybody: Vec<&HostName> = cx.hosts.iter().collect();
    if need.how == How::Overtake {
        let changes = view.is_overtaken(node).unwrap_or_default();
        all.tasks.extend(overtake(view, host, changes, &everybody));
        all.tasks.extend(canary::write(
            view,
            &everybody,
            &renewed(settings, cx, all),
            Some(host),
        ));
        return;
    }
    let changes = forgotten(view, node, need);
    let check = if changes > 0 {
        checks::FILLED
    } else {
        checks::LINKED
    };
    let gate: Gate = checks::gate(settings, check, host, &everybody, settings.sync_timeout);
    let mut task = match need.how {
        How::Refill => refill(view, node, need),
        _ => tell(settings, host, need),
    };
    if let Some(action) = &mut task.action {
        action.only_if.extend(still_stalled(view, node, need));
    }
    if serves_alone {
        let text = "it holds the data that the others copy, and is restarted: whoever uses it already is interrupted; let \
                    nobody write before all mirrors are linked, for what stands in queues would be doubled";
        all.note(Level::Warning, Some(host), text);
    }
    let disrupts = is_needed && view.serves(node);
    all.tasks.push(task.disrupting(disrupts).gate(gate));
    if changes > 0 {
        all.tasks.extend(overtake(view, host, changes, &everybody));
    }
    all.tasks.extend(canary::write(
        view,
        &everybody,
        &renewed(settings, cx, all),
        Some(host),
    ));
}

/// Lets a host that was rebuilt go past the last change that its peers remember of it, with changes that mean nothing,
/// and lets them connect again: they go on from there, and what it copied from them they have. It goes no further: what
/// they remember must still be in its binlog.
fn overtake(view: &View<'_>, host: &HostName, last: u64, everybody: &[&HostName]) -> Vec<Task> {
    let settings = view.settings;
    let key = "clusterctl.overtake";
    let until = SsdbReach {
        command: SsdbCommand::new(["info"]),
        pattern: r"max_seq\s*:\s*(\d+)".to_owned(),
        at_least: last,
    };
    let operation = Operation::Ssdb {
        address: settings.place(host).to_owned(),
        port: settings.port,
        password: Some(settings.password.clone()),
        commands: vec![
            SsdbCommand::new(["set", key, "x"]),
            SsdbCommand::new(["del", key]),
        ],
        until: Some(until),
    };
    let shown = format!("set {key} x; del {key}  (until max_seq is {last})");
    let title = format!("make changes on {host} that mean nothing, up to number {last}");
    let reason = "its peers remember so many of it, and are out of sync with it before it made as many";
    let bump = Task::new(host, title, reason, action(operation, OVERTAKE)).part("overtake");
    let mut tasks = vec![bump.preview(Preview::Commands(vec![shown]))];
    let need = Need {
        how: How::Overtake,
        verbs: vec![UnitVerb::Restart],
        reason: "its peers connect to it again".to_owned(),
    };
    let gate = checks::gate(settings, checks::LINKED, host, everybody, settings.sync_timeout);
    tasks.push(
        tell(settings, host, &need)
            .part("again")
            .disrupting(true)
            .gate(gate),
    );
    tasks
}

/// The hosts whose servers run with their new files by now: those that were started, and restarted so far.
fn renewed<'c>(settings: &Settings, cx: &'c Cx<'_>, all: &'c StepPlan) -> BTreeSet<&'c HostName> {
    started(settings, cx.earlier.iter().chain(&all.tasks))
}

/// The hosts on which tasks start our unit.
fn started<'t>(settings: &Settings, tasks: impl Iterator<Item = &'t Task>) -> BTreeSet<&'t HostName> {
    let started = tasks.filter(|task| {
        let operation = task.action.as_ref().map(|action| &action.operation);
        operation.is_some_and(|operation| starts(settings, operation))
    });
    started.map(|task| &task.host).collect()
}

/// Why the others could not do without a host now; `None` where they could.
fn missing(view: &View<'_>, host: &HostName, cx: &Cx<'_>) -> Option<String> {
    let settings = view.settings;
    settings.peers(host).find_map(|peer| {
        let node = view.node(peer)?;
        let is_started = cx.earlier_on(peer).any(|operation| starts(settings, operation));
        if view.serves(node) || is_started || is_refilled(view, node, cx) {
            return None;
        }
        let why = match (node.unreachable, node.server.trouble()) {
            (Some(why), _) => format!("it cannot be reached: {why}"),
            (None, Some(why)) => why,
            (None, None) => "it lacks data".to_owned(),
        };
        Some(format!(
            "{peer} does not serve, and one member at a time may be missing; {why}"
        ))
    })
}

/// Whether this plan fills a member anew before another one's turn comes.
fn is_refilled(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> bool {
    let how = need(view, node, cx).ok().flatten().map(|need| need.how);
    how == Some(How::Refill) && cx.hosts.contains(node.host)
}

/// Whether an operation starts our unit.
pub(crate) fn starts(settings: &Settings, operation: &Operation) -> bool {
    match operation {
        Operation::Unit { name, verbs } | Operation::UnitFiles { name, verbs, .. } => {
            *name == settings.unit
                && verbs
                    .iter()
                    .any(|verb| matches!(verb, UnitVerb::Start | UnitVerb::Restart))
        }
        _ => false,
    }
}

pub(crate) fn tell(settings: &Settings, host: &HostName, need: &Need) -> Task {
    let name = settings.unit.trim_end_matches(".service");
    let word = if need.verbs.contains(&UnitVerb::Restart) {
        "restart"
    } else if need.verbs.contains(&UnitVerb::Start) {
        "start"
    } else if need.verbs.contains(&UnitVerb::Enable) {
        "enable"
    } else {
        "reload systemd for"
    };
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs: need.verbs.clone(),
    };
    Task::new(
        host,
        format!("{word} {name}"),
        need.reason.clone(),
        action(operation, UNIT),
    )
}

/// Stops the server, moves its directory aside and starts it on an empty one: one rename, so that wherever it is cut
/// off the old data are whole, and never half of them are in use. Positions and data lie in the same directory: old
/// positions with new data would be a mirror that has nothing and says that it has everything.
fn refill(view: &View<'_>, node: &Node<'_>, need: &Need) -> Task {
    let settings = view.settings;
    let dir = node.work_dir(settings);
    let invocation = node
        .unit
        .as_ref()
        .map(|unit| unit.invocation.as_str())
        .unwrap_or_default();
    let aside = format!(
        "{dir}.before-{}",
        invocation
            .get(..8)
            .filter(|_| !invocation.is_empty())
            .unwrap_or("first-start")
    );
    let wanted = [UnitVerb::DaemonReload, UnitVerb::Enable].into_iter();
    let verbs = wanted.filter(|verb| need.verbs.contains(verb));
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
    };
    let shown = shown(&operation);
    // The process that was looked at, and no other.
    let same = node.unit.as_ref().ok().map(|&unit| Precondition {
        what: format!("{} was not restarted since the plan", settings.unit),
        query: protocol::facts::UnitQuery::new(&settings.unit).wrap(),
        fact: Fact::Unit(unit.clone()),
    });
    let action = Action {
        only_if: same.into_iter().collect(),
        operation,
        limit_ms: UNIT,
    };
    let title = format!("fill {} anew; its old data go to {aside}", node.host);
    Task::new(node.host, title, need.reason.clone(), action).preview(Preview::Commands(shown))
}

/// A restart that heals a link is not due any more where the canary has come meanwhile.
fn still_stalled(view: &View<'_>, node: &Node<'_>, need: &Need) -> Option<Precondition> {
    let settings = view.settings;
    let info = node.server.up()?;
    let from = stalled(view, node, info)?;
    // One that is due for another reason, too, is due all the same.
    if !need.reason.starts_with("its link to") {
        return None;
    }
    let seen = info.canaries.get(&from);
    let reply = match seen {
        Some(value) => SsdbReply {
            status: "ok".to_owned(),
            items: vec![value.as_str().into()],
        },
        None => SsdbReply {
            status: "not_found".to_owned(),
            items: Vec::new(),
        },
    };
    Some(Precondition {
        what: format!("the canary of {} has not come to {} yet", from, node.host),
        query: queries::canary(settings, &info.address, &from).wrap(),
        fact: Fact::Ssdb(SsdbFact::Replies {
            asks_password: info.asks_password,
            replies: vec![reply],
        }),
    })
}

/// An action on a server, as quick as it should be.
pub(crate) fn on_server(
    settings: &Settings,
    host: &HostName,
    commands: Vec<protocol::facts::SsdbCommand>,
) -> Action {
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
