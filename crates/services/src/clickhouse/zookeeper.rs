//! ZooKeeper, where it is ours: its files, and its members started together or restarted one after another.

use plan::{Gate, Preview, Unknown};
use protocol::facts::{FileFact, FileKind, FileQuery};
use protocol::{FileState, Operation, Text, UnitVerb};
use types::HostName;

use super::config::{self, Stop};
use super::gates;
use super::health;
use super::need::{self, Need};
use super::queries;
use super::quorum::{self, Peer, Quorum};
use super::settings::{Settings, ZooKeeper};
use super::zoo;
use crate::common::{QUICK, UNIT, action};
use crate::step::{Cx, StepPlan, Task};

/// The step `zookeeper-config`.
pub(super) fn plan_config(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
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
pub(super) fn tasks(
    settings: &Settings,
    zookeeper: &ZooKeeper,
    host: &HostName,
    cx: &Cx<'_>,
) -> Result<Vec<Task>, Stop> {
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
        let wanted = zoo::environment(&found, heap);
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
fn serves(quorum: &Quorum, host: &HostName) -> bool {
    quorum.is_there() && quorum.on(host).is_some_and(|member| member.peer.is_serving())
}

/// The step `zookeeper-start`: whatever serves nobody, all at once, for a quorum comes up together.
pub(super) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let quorum = Quorum::find(settings, cx.facts);
    // A member that the quorum does not know yet follows it only once the others were restarted.
    let added = quorum::changes(settings, &quorum, cx.facts).map(|(added, _)| added);
    for (host, need) in needs(settings, zookeeper, &quorum, cx, &mut plan) {
        if serves(&quorum, host) && need.restarts() {
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
        plan.tasks.push(task(host, zookeeper, &need, revives).gate(gate));
    }
    plan
}

/// The step `zookeeper-restart`: members that are none any more are stopped, and then what serves is restarted, one member
/// after another, the leader last. Who leaves goes first: a member with the new configuration does not follow a leader
/// that is not in it (`FastLeaderElection`).
pub(super) fn plan_restart(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let quorum = Quorum::find(settings, cx.facts);
    let mut restarts = needs(settings, zookeeper, &quorum, cx, &mut plan);
    plan.unplanned.clear();
    restarts.retain(|(host, need)| serves(&quorum, host) && need.restarts());
    let leads = |host: &HostName| matches!(quorum.on(host).map(|member| &member.peer), Some(Peer::Leader(_)));
    restarts.sort_by_key(|(host, _)| leads(host));
    plan.tasks.extend(leavers(settings, zookeeper, cx));
    for (host, need) in restarts {
        let gate = after(settings, cx);
        plan.tasks.push(task(host, zookeeper, &need, true).gate(gate));
    }
    plan
}

/// What is waited for after a member went: the quorum, and the servers' sessions, unless one had none before, for then
/// its own restart, later in this plan, is what it needs.
fn after(settings: &Settings, cx: &Cx<'_>) -> Gate {
    match health::sessions(settings, cx.facts) {
        Ok(()) => gates::reached(settings, cx),
        Err(_) => gates::quorum(settings, cx),
    }
}

/// Stops the ZooKeeper of hosts that were members and are none any more.
fn leavers(settings: &Settings, zookeeper: &ZooKeeper, cx: &Cx<'_>) -> Vec<Task> {
    let mut tasks = Vec::new();
    for host in cx.hosts.iter().filter(|host| !zookeeper.members.contains(host)) {
        let config = text(host, &queries::zoo_cfg(zookeeper), cx).ok().flatten();
        let servers = config.as_deref().map(zoo::servers).unwrap_or_default();
        let was_member = servers.iter().any(|(_, name)| name == host.as_str())
            && servers
                .iter()
                .any(|(_, name)| zookeeper.members.iter().any(|member| member.as_str() == name));
        let unit = quorum::unit(settings, host, cx.facts);
        let runs = unit.is_some_and(|unit| unit.exists() && (unit.is_active() || unit.is_enabled()));
        if was_member && runs {
            let operation = Operation::Unit {
                name: zookeeper.unit.clone(),
                verbs: vec![UnitVerb::Disable, UnitVerb::Stop],
            };
            let title = format!("disable and stop {}", zookeeper.unit);
            let reason = "it is no member of the quorum any more; its data stays";
            tasks.push(
                Task::new(host, title, reason, action(operation, UNIT))
                    .part("leave")
                    .disrupting(true)
                    .gate(after(settings, cx)),
            );
        }
    }
    tasks
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
