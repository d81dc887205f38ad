//! The second round of a change of the quorum: the members do without the one that leaves, now that all others serve.
//!
//! Each learns of it by itself: its file is written, its process restarted, and the quorum whole again before the next.
//! Who leaves votes until the last has learned; it is stopped then.

use plan::{Refusal, Unknown};
use protocol::facts::{FileFact, FileQuery};
use protocol::{FileState, Operation, Text, UnitVerb};
use types::HostName;

use crate::checks as gates;
use crate::observe::queries;
use crate::rules::coordination::ids::Ids;
use crate::rules::coordination::interim_membership as stage;
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::coordination::quorum_guard as margin;
use crate::rules::coordination::rejoin as stranded;
use crate::rules::coordination::zoo_cfg as zoo;
use crate::rules::need::Need;
use crate::rules::server::config;
use crate::rules::server::files;
use crate::settings::{Settings, ZooKeeper};
use crate::steps::zookeeper_restart as zookeeper;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, UNIT, action, hash};

/// What a restart of the second round is for.
const REASON: &str = "it reads its members at its start only, and one of them leaves";

/// Plans the round.
pub(crate) fn second(settings: &Settings, cx: &Cx<'_>, plan: &mut StepPlan) {
    let is_small = settings.zookeeper().is_some() && settings.members().len() < 3;
    if is_small {
        plan.tasks.extend(leavers(settings, cx));
    } else {
        plan.tasks.extend(hand_over(settings, cx));
    }
    for host in leader_last(settings, cx) {
        let tasks = match settings.zookeeper() {
            Some(zookeeper) => with_zookeeper(settings, zookeeper, host, cx),
            None => with_keeper(settings, host, cx),
        };
        match tasks {
            Ok(tasks) => plan.tasks.extend(tasks),
            Err(why) => plan.unplanned.push((host.clone(), why)),
        }
    }
    // A host that stays a replica, and votes no more.
    let replicas = cx.hosts.iter().filter(|host| !settings.members().contains(host));
    for host in replicas.filter(|_| settings.keeper().is_some()) {
        match with_keeper(settings, host, cx) {
            Ok(tasks) => plan.tasks.extend(tasks),
            Err(why) => plan.unplanned.push((host.clone(), why)),
        }
    }
    if !is_small {
        let stays = |task: &Task| cx.hosts.contains(&task.host);
        plan.tasks.extend(leavers(settings, cx).into_iter().filter(stays));
    }
}

/// The members, whoever will lead last: while some of the others do without the leaver and some do not, they may come to no
/// choice of another leader. A leader that the first round restarts leads no more; of members that know as much as each
/// other the one with the greatest number is chosen (`FastLeaderElection.totalOrderPredicate`).
fn leader_last<'c>(settings: &Settings, cx: &Cx<'c>) -> Vec<&'c HostName> {
    let quorum = Quorum::find(settings, cx.facts);
    let unit = settings.quorum_unit();
    let leads = |host: &HostName| quorum.leads(host) && !cx.tells(host, unit, UnitVerb::Restart);
    let ids = Ids::find(settings, &quorum::seen(settings, cx.facts)).ok();
    let id = |host: &HostName| ids.as_ref().and_then(|ids| ids.of(host));
    let mut members: Vec<&HostName> = cx.hosts.iter().collect();
    members.retain(|host| settings.members().contains(host));
    members.sort_by_key(|host| (leads(host), id(host)));
    members
}

/// Has a leader that is no member any more be followed by another one: it starts again, and comes back as a follower.
pub(crate) fn hand_over(settings: &Settings, cx: &Cx<'_>) -> Option<Task> {
    let leader = stage::foreign_leader(settings, cx.facts)?;
    let is_reached = cx.hosts.contains(&leader) || cx.others.contains(&leader);
    let unit = settings.quorum_unit();
    let reason = "it leads the quorum and is to leave it: another one leads before the others do without it";
    // Keeper's next leader lets it go at once.
    let gate = match settings.zookeeper() {
        Some(_) => gates::votes(settings, cx, &leader),
        None => gates::quorum(settings, cx),
    };
    is_reached.then(|| {
        restart(settings, &leader, unit, reason, cx)
            .part("hand-over")
            .gate(gate)
    })
}

/// Stops ZooKeeper on hosts that were members.
pub(crate) fn leavers(settings: &Settings, cx: &Cx<'_>) -> Vec<Task> {
    let reached = cx.hosts.iter().chain(cx.others);
    let left = reached.filter(|host| !settings.members().contains(host));
    left.filter_map(|host| leaver(settings, host, cx)).collect()
}

fn leaver(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Option<Task> {
    let zookeeper = settings.zookeeper()?;
    let unit = quorum::unit(settings, host, cx.facts)?;
    let runs = unit.exists() && (unit.is_active() || unit.is_enabled());
    if !runs || !quorum::was_member(settings, host, cx.facts) {
        return None;
    }
    let operation = Operation::Unit {
        name: zookeeper.unit.clone(),
        verbs: vec![UnitVerb::Disable, UnitVerb::Stop],
    };
    let title = format!("disable and stop {}", zookeeper.unit);
    let reason = "it is no member of the quorum any more; its data stays";
    Some(
        Task::new(host, title, reason, action(operation, UNIT))
            .part("leave")
            .disrupting(true)
            .gate(zookeeper::after(settings, cx)),
    )
}

/// Starts a `ZooKeeper` that is no member any more, that died, and that counts still: its vote is needed until the others
/// do without it. One that was stopped for good is disabled.
pub(crate) fn revive(settings: &Settings, quorum: &Quorum, cx: &Cx<'_>) -> Vec<Task> {
    let Some(zookeeper) = settings.zookeeper() else {
        return Vec::new();
    };
    let names = quorum::current(settings, quorum, cx.facts).unwrap_or_default();
    let planned = |host: &&HostName| cx.hosts.contains(host) && settings.members().contains(host);
    let counts = |host: &&HostName| names.iter().any(|name| name == host.as_str());
    let died = |host: &&HostName| {
        quorum::unit(settings, host, cx.facts)
            .is_some_and(|unit| unit.exists() && unit.is_enabled() && !unit.is_active())
    };
    let reached = cx.hosts.iter().chain(cx.others);
    let hosts = reached.filter(|host| !planned(host) && counts(host) && died(host));
    let start = |host: &HostName| {
        let operation = Operation::Unit {
            name: zookeeper.unit.clone(),
            verbs: vec![UnitVerb::Start],
        };
        let title = format!("start {}", zookeeper.unit);
        let reason = "it does not run, and it votes until the others do without it";
        let gate = gates::votes(settings, cx, host);
        Task::new(host, title, reason, action(operation, UNIT)).gate(gate)
    };
    hosts.map(start).collect()
}

/// In the first round, a ZooKeeper that is to leave learns of the newcomers like all others: one of them may lead, and it
/// would not follow it, and be missed when the others restart.
pub(crate) fn introduce(settings: &Settings, cx: &Cx<'_>) -> Result<Vec<Task>, Box<Refusal>> {
    let Some(zookeeper) = settings.zookeeper() else {
        return Ok(Vec::new());
    };
    let mut tasks = Vec::new();
    for host in settings.leavers.iter().filter(|host| cx.others.contains(host)) {
        let Ok(written) = with_zookeeper(settings, zookeeper, host, cx) else {
            continue;
        };
        let mut written: Vec<Task> = written.into_iter().filter(|task| !task.disrupts).collect();
        let quorum = Quorum::find(settings, cx.facts);
        let member = quorum.on(host);
        let conf = member.and_then(|member| member.conf.as_deref());
        let servers = conf.map(formats::zoo::servers).unwrap_or_default();
        let knows = |member: &HostName| servers.iter().any(|(_, name)| name == member.as_str());
        if written.is_empty() && settings.members().iter().all(knows) {
            continue;
        }
        let need = Need {
            verbs: vec![UnitVerb::Restart],
            reason: "it reads its members at its start only, and one joins before it leaves".to_owned(),
        };
        if let Some(refusal) = margin::refusal(settings, host, &[], &need, cx) {
            return Err(Box::new(refusal));
        }
        tasks.append(&mut written);
        let mut restart = restart(settings, host, &zookeeper.unit, &need.reason, cx).part("introduce");
        // One that follows nobody takes nothing away, and who joins may be waiting for it.
        if quorum.is_there() && member.is_some_and(|member| member.peer == Peer::Waiting) {
            restart = zookeeper::only_idle(restart, settings, cx).disrupting(false);
        }
        tasks.push(
            restart
                .gate(gates::votes(settings, cx, host))
                .gate(zookeeper::after(settings, cx)),
        );
    }
    Ok(tasks)
}

fn with_zookeeper(
    settings: &Settings,
    zookeeper: &ZooKeeper,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Vec<Task>, String> {
    let instead = stranded::instead(settings, host, cx.facts);
    let settings = instead.as_ref().unwrap_or(settings);
    let zookeeper = settings.zookeeper().unwrap_or(zookeeper);
    let ids = config::ids(settings, cx.facts).map_err(|conflict| conflict.to_string())?;
    let query = queries::zoo_cfg(zookeeper);
    let (found, was) = latest(host, &query, cx).map_err(|unknown| unknown.to_string())?;
    let found = found.unwrap_or_default();
    let wanted = Text::new(zoo::config(zookeeper, &ids, found.as_str()));
    if wanted == found {
        return Ok(Vec::new());
    }
    let write = write(host, &query, found, wanted, was, cx);
    let restart = restart(settings, host, &zookeeper.unit, REASON, cx).part("second");
    Ok(vec![
        write.part("second.zoo.cfg"),
        restart.gate(gates::reached(settings, cx)),
    ])
}

fn with_keeper(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Vec<Task>, String> {
    let ids = config::ids(settings, cx.facts).map_err(|conflict| conflict.to_string())?;
    let root = config::root(settings, host, cx.facts).map_err(|stop| stop.to_string())?;
    let query = queries::config_file(settings, "keeper");
    let (found, was) = latest(host, &query, cx).map_err(|unknown| unknown.to_string())?;
    let wanted = files::keeper(settings, root, host, &ids);
    if found.as_ref() == Some(&wanted) {
        return Ok(Vec::new());
    }
    let write = write(host, &query, found.unwrap_or_default(), wanted, was, cx);
    let restart = restart(settings, host, &settings.unit, REASON, cx).part("second");
    let gate = gates::serving(settings, cx, host);
    Ok(vec![
        write.part("second.keeper"),
        restart.before(gates::quorum(settings, cx)).gate(gate),
    ])
}

/// What a file will hold when this step comes: what an earlier one wrote, or what stands there.
fn latest(host: &HostName, query: &FileQuery, cx: &Cx<'_>) -> Result<(Option<Text>, FileState), Unknown> {
    let written = cx.earlier_on(host).rev().find_map(|operation| match operation {
        Operation::WriteFile { path, text, .. } if *path == query.path => Some(text.clone()),
        _ => None,
    });
    if let Some(text) = written {
        let was = hash(&text).map_or(FileState::Any, FileState::Hash);
        return Ok((Some(text), was));
    }
    let fact = cx.facts.get(host, query)?;
    Ok((fact.text().cloned(), fact.state()))
}

fn write(host: &HostName, query: &FileQuery, found: Text, text: Text, was: FileState, cx: &Cx<'_>) -> Task {
    let preview = plan::Preview::File {
        path: query.path.clone(),
        before: Some(found),
        after: text.clone(),
    };
    let meta = cx.facts.get(host, query).ok().and_then(FileFact::meta);
    let owner = |name: Option<&String>| name.map_or("root", String::as_str).to_owned();
    let operation = Operation::WriteFile {
        path: query.path.clone(),
        text,
        mode: meta.map_or(0o644, |meta| meta.mode),
        owner: owner(meta.map(|meta| &meta.owner)),
        group: owner(meta.map(|meta| &meta.group)),
        was,
    };
    let reason = "a member leaves, now that all others serve";
    Task::new(
        host,
        format!("change {}", query.path),
        reason,
        action(operation, QUICK),
    )
    .preview(preview)
}

fn restart(settings: &Settings, host: &HostName, unit: &str, reason: &str, cx: &Cx<'_>) -> Task {
    let operation = Operation::Unit {
        name: unit.to_owned(),
        verbs: vec![UnitVerb::Restart],
    };
    let task = Task::new(host, format!("restart {unit}"), reason, action(operation, UNIT)).disrupting(true);
    margin::guarded(task, settings, cx)
}
