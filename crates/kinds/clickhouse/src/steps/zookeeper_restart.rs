//! ZooKeeper, where it is ours: its files, and its members started together or restarted one after another.

use std::collections::BTreeSet;

use plan::{Gate, Preview, Unknown};
use protocol::facts::{FileFact, FileKind, FileQuery};
use protocol::{Fact, FactQuery, FileState, Operation, Precondition, Text};
use types::HostName;

use crate::checks as gates;
use crate::observe::queries;
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::coordination::quorum_guard as margin;
use crate::rules::coordination::rejoin as stranded;
use crate::rules::coordination::zoo_cfg as zoo;
use crate::rules::need::{self, Need};
use crate::rules::server::config::{self, Stop};
use crate::settings::{Settings, ZooKeeper};
use crate::status as health;
use crate::steps::member_removal as rounds;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, UNIT, action};

/// The step `zookeeper-config`.
pub(crate) fn plan_config(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    for host in members(zookeeper, cx) {
        match tasks(settings, zookeeper, host, cx) {
            Ok(tasks) => plan.tasks.extend(tasks),
            Err(Stop::Refused(_) | Stop::Numbers(_)) => {}
            Err(stop @ Stop::Unknown(_)) => plan.unplanned.push((host.clone(), stop.to_string())),
        }
    }
    plan
}

fn members<'c>(zookeeper: &'c ZooKeeper, cx: &'c Cx<'_>) -> impl Iterator<Item = &'c HostName> {
    cx.hosts.iter().filter(|host| zookeeper.members.contains(host))
}

/// What is to be written on a host.
pub(crate) fn tasks(
    settings: &Settings,
    zookeeper: &ZooKeeper,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Vec<Task>, Stop> {
    let instead = stranded::instead(settings, host, cx.facts);
    let settings = instead.as_ref().unwrap_or(settings);
    let zookeeper = settings.zookeeper().unwrap_or(zookeeper);
    let ids = config::ids(settings, cx.facts)?;
    let installs = cx.installs(host, &zookeeper.package);
    let mut tasks = Vec::new();
    let query = queries::zoo_cfg(zookeeper);
    let found = text(host, &query, cx)?.unwrap_or_default();
    let wanted = zoo::config(zookeeper, &ids, &found);
    tasks.extend(write(host, &query, wanted, installs, cx)?.map(|task| task.part("zoo.cfg")));
    if let Some(id) = ids.of(host) {
        let query = myid(zookeeper, host, installs, cx)?;
        let found = text(host, &query, cx)?.unwrap_or_default();
        if found.trim() != id.to_string() {
            tasks.extend(write(host, &query, format!("{id}\n"), installs, cx)?.map(|task| task.part("myid")));
        }
    }
    if let Some(heap) = &zookeeper.heap {
        let query = queries::environment(zookeeper);
        let found = text(host, &query, cx)?.unwrap_or_default();
        let wanted = formats::zoo::environment(&found, heap);
        tasks.extend(write(host, &query, wanted, installs, cx)?.map(|task| task.part("environment")));
    }
    Ok(tasks)
}

/// The file that holds the member's number: Debian's package links it into its configuration.
fn myid(zookeeper: &ZooKeeper, host: &HostName, installs: bool, cx: &Cx<'_>) -> Result<FileQuery, Unknown> {
    let in_data = queries::data_myid(zookeeper);
    let meta = cx.facts.get(host, &in_data)?.meta();
    Ok(match meta.map(|meta| meta.kind) {
        Some(FileKind::Link) => queries::myid(zookeeper),
        None if installs => queries::myid(zookeeper),
        _ => in_data,
    })
}

fn text(host: &HostName, query: &FileQuery, cx: &Cx<'_>) -> Result<Option<String>, Unknown> {
    let fact = cx.facts.get(host, query)?;
    Ok(fact.text().map(|text| text.as_str().to_owned()))
}

fn write(
    host: &HostName,
    query: &FileQuery,
    wanted: String,
    installs: bool,
    cx: &Cx<'_>,
) -> Result<Option<Task>, Unknown> {
    let fact = cx.facts.get(host, query)?;
    let path = &query.path;
    let wanted = Text::new(wanted);
    if fact.text() == Some(&wanted) {
        return Ok(None);
    }
    let (verb, reason) = match fact {
        FileFact::Absent => ("create", "it is missing"),
        FileFact::Present(_) => ("change", "its content differs"),
    };
    let preview = Preview::File {
        path: path.clone(),
        before: fact.text().cloned(),
        after: wanted.clone(),
    };
    let meta = fact.meta();
    let owner = |name: Option<&String>| name.map_or("root", String::as_str).to_owned();
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: wanted,
        mode: meta.map_or(0o644, |meta| meta.mode),
        owner: owner(meta.map(|meta| &meta.owner)),
        group: owner(meta.map(|meta| &meta.group)),
        // The package brings a file of its own, which ours is not made from.
        was: if installs { FileState::Any } else { fact.state() },
    };
    Ok(Some(
        Task::new(host, format!("{verb} {path}"), reason, action(operation, QUICK)).preview(preview),
    ))
}

/// What each host's member needs.
fn needs<'c>(
    settings: &Settings,
    zookeeper: &'c ZooKeeper,
    quorum: &Quorum,
    cx: &'c Cx<'_>,
    plan: &mut StepPlan,
) -> Vec<(&'c HostName, Need)> {
    let mut needs = Vec::new();
    for host in members(zookeeper, cx) {
        match need::zookeeper(settings, zookeeper, quorum, host, cx) {
            Ok(need) => needs.extend(need.map(|need| (host, need))),
            Err(why) => plan.unplanned.push((host.clone(), why)),
        }
    }
    needs
}

/// Whether restarting a member takes something away from somebody.
fn serves(settings: &Settings, quorum: &Quorum, host: &HostName, cx: &Cx<'_>) -> bool {
    let Some(member) = quorum.on(host) else {
        return false;
    };
    // While nobody leads, whoever looks for a leader is as good as one that follows.
    let is_electing = member.peer == Peer::Waiting && !quorum::is_led(settings, quorum, cx.facts);
    quorum::is_in_use(settings, quorum, cx.facts) && (member.peer.is_serving() || is_electing)
}

/// The step `zookeeper-start`: whatever serves nobody, all at once, for a quorum comes up together.
pub(crate) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let quorum = Quorum::find(settings, cx.facts);
    // A member that the quorum does not know yet follows it only once the others were restarted.
    let added = quorum::changes(settings, &quorum, cx.facts).map(|(added, _)| added);
    for (host, need) in needs(settings, zookeeper, &quorum, cx, &mut plan) {
        if serves(settings, &quorum, host, cx) && need.restarts() {
            continue;
        }
        let is_new = added
            .as_ref()
            .is_some_and(|added| added.iter().any(|name| name == host.as_str()));
        let gate = if is_new || !need.starts() {
            gates::member_up(settings, cx, host)
        } else {
            gates::quorum(settings, cx)
        };
        let revives = need.starts() && health::is_only_missed(settings, host, cx.facts);
        let task = task(host, zookeeper, &need, revives).gate(gate);
        let is_idle = need.restarts()
            && quorum::is_in_use(settings, &quorum, cx.facts)
            && !cx.installs(host, &zookeeper.package);
        plan.tasks.push(if is_idle {
            margin::guarded(only_idle(task, settings, cx), settings, cx)
        } else {
            task
        });
    }
    plan.tasks.extend(rounds::revive(settings, &quorum, cx));
    plan
}

/// Restarts a member only while it serves as few as when the plan was made: it may have come back by itself.
pub(crate) fn only_idle(mut task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    let host = task.host.clone();
    for query in queries::words(settings, &host) {
        if let (Ok(fact), Some(action)) = (cx.facts.get(&host, &query), &mut task.action) {
            action.only_if.push(Precondition {
                what: format!("the ZooKeeper on {host} serves nobody"),
                fact: Fact::Words(fact.clone()),
                query: FactQuery::Words(query),
            });
        }
    }
    task
}

/// The step `zookeeper-restart`: what serves is restarted, one member after another, the leader last; and then members that
/// are none any more are stopped. Who leaves votes until the others have learned of it, so that none of their restarts
/// takes the majority. It does not lead meanwhile: a member with the new configuration does not follow a leader that is
/// not in it (`FastLeaderElection`).
pub(crate) fn plan_restart(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let quorum = Quorum::find(settings, cx.facts);
    let mut restarts = needs(settings, zookeeper, &quorum, cx, &mut plan);
    plan.unplanned.clear();
    restarts.retain(|(host, need)| serves(settings, &quorum, host, cx) && need.restarts());
    restarts.sort_by_key(|(host, _)| quorum.leads(host));
    let leavers = rounds::leavers(settings, cx);
    // Of two, none follows the other while that one is led on by a third that it does not know: the third goes first.
    let is_first = zookeeper.members.len() < 3;
    if is_first {
        plan.tasks.extend(leavers.clone());
    } else if !restarts.is_empty() {
        plan.tasks.extend(rounds::hand_over(settings, cx));
    }
    let introduced = rounds::introduce(settings, cx).unwrap_or_else(|refusal| {
        plan.refusals.push(*refusal);
        Vec::new()
    });
    // Who starts again finds most of its members with the leader only while that one stays: the leader is the last.
    let leads_last = settings.leavers.iter().any(|host| quorum.leads(host));
    if !leads_last {
        plan.tasks.extend(introduced.clone());
    }
    let learners = restarts.iter().map(|(host, _)| *host);
    let all: Vec<HostName> = learners
        .chain(introduced.iter().map(|task| &task.host))
        .cloned()
        .collect();
    let looks_in_vain = looks_in_vain(settings, zookeeper, &quorum, cx);
    let last = restarts.last().map(|(host, _)| *host);
    for (host, need) in restarts {
        if let Some(refusal) = margin::refusal(settings, host, &all, &need, cx) {
            plan.refusals.push(refusal);
            continue;
        }
        let gate = if looks_in_vain && last != Some(host) {
            gates::member_up(settings, cx, host)
        } else {
            after(settings, cx)
        };
        let task = task(host, zookeeper, &need, !looks_in_vain).gate(gate);
        plan.tasks.push(if looks_in_vain {
            margin::guarded_in_vain(only_idle(task, settings, cx), settings, cx)
        } else {
            margin::guarded(task, settings, cx)
        });
    }
    if leads_last {
        plan.tasks.extend(introduced);
    }
    // A host that is no member of anything any more stops both of its processes, in the step `leave`.
    let stays = |task: &Task| !is_first && cx.hosts.contains(&task.host);
    plan.tasks.extend(leavers.into_iter().filter(stays));
    plan
}

/// Whether all members run and nobody leads, and some may run with other members than the others: such lists may never come
/// to a choice (`FastLeaderElection`). There is nothing to take away then, and servers that died of it come back only when one
/// leads. Who knows all members may have to wait for the last to learn.
fn looks_in_vain(settings: &Settings, zookeeper: &ZooKeeper, quorum: &Quorum, cx: &Cx<'_>) -> bool {
    let query = queries::zoo_cfg(zookeeper);
    let is_unread = |host: &HostName| {
        let unit = quorum::unit(settings, host, cx.facts);
        unit.is_some_and(|unit| need::is_newer(host, unit, &query, cx)) || cx.writes(host, &query.path)
    };
    let lists = quorum::seen(settings, cx.facts).into_iter().map(|(_, seen)| {
        let mut names: Vec<String> = seen.servers.into_iter().map(|(_, name)| name).collect();
        names.sort();
        names
    });
    let lists: BTreeSet<Vec<String>> = lists.filter(|names| !names.is_empty()).collect();
    let members = quorum.members.iter();
    members.clone().all(|member| member.peer == Peer::Waiting)
        && (lists.len() > 1 || members.filter_map(|member| member.host.as_ref()).any(is_unread))
}

/// What is waited for after a member went: the quorum, and the servers' sessions, unless one had none before, for then
/// its own restart, later in this plan, is what it needs.
pub(crate) fn after(settings: &Settings, cx: &Cx<'_>) -> Gate {
    match health::sessions(settings, cx.facts) {
        Ok(()) => gates::reached(settings, cx),
        Err(_) => gates::quorum(settings, cx),
    }
}

fn task(host: &HostName, zookeeper: &ZooKeeper, need: &Need, disrupts: bool) -> Task {
    let words: Vec<&str> = need.verbs.iter().map(|verb| verb.as_str()).collect();
    let title = format!("{} {}", words.join(" and "), zookeeper.unit);
    let operation = Operation::Unit {
        name: zookeeper.unit.clone(),
        verbs: need.verbs.clone(),
    };
    Task::new(host, title, need.reason.clone(), action(operation, UNIT)).disrupting(disrupts)
}
