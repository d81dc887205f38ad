//! Departing and former voters: they learn of joining ones, step down, are started while they count, and stop.

use plan::Refusal;
use protocol::UnitVerb;
use types::HostName;

use crate::checks;
use crate::observe::coordination::voter::VoterState;
use crate::observe::view::Member;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::quorum_guard;
use crate::rules::need::zookeeper_process;
use crate::steps::voter_list;
use crate::steps::zookeeper::only_idle;
use kit::{Cx, Reason, Task};

/// The hosts that were reached, members and others.
fn reached<'c>(cx: &Cx<'c>) -> impl Iterator<Item = &'c HostName> {
    cx.hosts.iter().chain(cx.others)
}

/// Has a leader that is a former voter step down: it restarts, and comes back as a follower.
pub(super) fn step_down(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Option<Task> {
    let leader = quorum.outside_leader()?.host;
    let settings = quorum.view.settings;
    let reason = "it leads the quorum and is departing: another one leads before the others do without it";
    // Keeper's next leader removes it at once.
    let gate = match settings.zookeeper() {
        Some(_) => checks::votes(settings, cx, leader),
        None => checks::quorum(settings, cx),
    };
    let is_reached = reached(cx).any(|host| host == leader);
    is_reached.then(|| {
        let restart = voter_list::restart(quorum, leader, reason, cx);
        restart.part("hand-over").gate(gate)
    })
}

/// Stops ZooKeeper on hosts of former voters.
pub(super) fn stop(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let former = reached(cx).filter(|host| !quorum.membership.has(host));
    let members = former.filter_map(|host| quorum.view.member(host));
    members.filter_map(|member| stop_on(quorum, member, cx)).collect()
}

fn stop_on(quorum: &Quorum<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Option<Task> {
    let zookeeper = quorum.view.settings.zookeeper()?;
    let unit = member.voter_unit.as_ref().ok()?;
    let runs = unit.exists() && (unit.is_active() || unit.is_enabled());
    if !runs || !quorum.was_voter(member) {
        return None;
    }
    let reason = "it is a former member of the quorum; its data stays";
    let process = zookeeper_process(zookeeper, member.host);
    let task = process.tell(&[UnitVerb::Disable, UnitVerb::Stop], reason);
    let gate = checks::reached_again(quorum.view, cx);
    Some(task.part("leave").disrupting(true).gate(gate))
}

/// Starts a `ZooKeeper` of a former voter that died and still counts: its vote is needed until the others do without it.
/// One that was stopped for good is disabled.
pub(super) fn revive(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let settings = quorum.view.settings;
    let Some(zookeeper) = settings.zookeeper() else {
        return Vec::new();
    };
    let is_planned = |host: &HostName| cx.hosts.contains(host) && quorum.membership.has(host);
    let counts = |host: &HostName| quorum.current.iter().flatten().any(|name| name == host.as_str());
    let died = |host: &HostName| {
        let unit = quorum
            .view
            .member(host)
            .and_then(|member| member.voter_unit.as_ref().ok());
        unit.is_some_and(|unit| unit.exists() && unit.is_enabled() && !unit.is_active())
    };
    let start = |host: &HostName| {
        let reason = "it does not run, and it votes until the others do without it";
        let task = zookeeper_process(zookeeper, host).tell(&[UnitVerb::Start], reason);
        task.gate(checks::votes(settings, cx, host))
    };
    let hosts = reached(cx).filter(|host| !is_planned(host) && counts(host) && died(host));
    hosts.map(start).collect()
}

/// In the first round, a departing ZooKeeper learns of the joining ones like all others: one of them may lead, and it would
/// not follow it, and be missed when the others restart.
pub(super) fn introduce(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Result<Vec<Task>, Box<Refusal>> {
    let mut tasks = Vec::new();
    if quorum.view.settings.zookeeper().is_some() {
        let departing = quorum.membership.departing.iter();
        for host in departing.filter(|host| cx.others.contains(host)) {
            tasks.extend(introduce_on(quorum, host, cx)?);
        }
    }
    Ok(tasks)
}

fn introduce_on(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Vec<Task>, Box<Refusal>> {
    let (view, settings) = (quorum.view, quorum.view.settings);
    let Ok(write) = voter_list::write(quorum, host, cx) else {
        return Ok(Vec::new());
    };
    let voter = view.voter(host);
    let knows = |host: &HostName| voter.conf.as_ref().is_some_and(|conf| conf.names(host.as_str()));
    if write.is_none() && quorum.membership.voters.iter().all(knows) {
        return Ok(Vec::new());
    }
    let reason = "it reads its members at its start only, and one joins before it leaves";
    let typed = Reason::Restart(reason.to_owned());
    if let Some(refusal) = quorum_guard::refusal(quorum, host, &[], &typed, cx) {
        return Err(Box::new(refusal));
    }
    let mut restart = voter_list::restart(quorum, host, reason, cx).part("introduce");
    // A voter without a leader is not missed, and joining voters may be waiting for it.
    if quorum.is_available() && voter.state == VoterState::Looking {
        restart = only_idle(restart, settings, cx).disrupting(false);
    }
    restart = restart
        .gate(checks::votes(settings, cx, host))
        .gate(checks::reached_again(view, cx));
    Ok(write.into_iter().chain([restart]).collect())
}
