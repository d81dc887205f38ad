//! The steps `start` and `restart`: servers run, and run with what their files say.
//!
//! Where no cluster serves yet, all are started at once: Keeper's quorum comes up together or not at all. A cluster that
//! serves is restarted one member after another, the leader of its Keeper last.

use plan::{Level, Refusal};
use protocol::Operation;
use types::HostName;

use super::gates;
use super::health;
use super::need::{self, Need};
use super::quorum::{Peer, Quorum};
use super::settings::Settings;
use super::view;
use crate::common::{UNIT, action};
use crate::step::{Cx, StepPlan, Task};

/// Whether a cluster serves: some server knows it, and there is a quorum.
fn is_formed(settings: &Settings, quorum: &Quorum, cx: &Cx<'_>) -> bool {
    let knows = |host: &HostName| {
        view::talk(settings, host, cx.facts)
            .up()
            .is_some_and(|live| !live.cluster.is_empty())
    };
    quorum.is_there() && settings.hosts.iter().any(knows)
}

fn needs<'c>(settings: &Settings, cx: &'c Cx<'_>, plan: &mut StepPlan) -> Vec<(&'c HostName, Need)> {
    let mut needs = Vec::new();
    for host in cx.hosts {
        match need::server(settings, host, cx) {
            Ok(need) => needs.extend(need.map(|need| (host, need))),
            Err(why) => plan.unplanned.push((host.clone(), why)),
        }
    }
    needs
}

/// The step `start`.
pub(super) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let quorum = Quorum::find(settings, cx.facts);
    let is_formed = is_formed(settings, &quorum, cx);
    let needs = needs(settings, cx, &mut plan);
    let others_restart = is_formed && needs.iter().any(|(_, need)| need.restarts());
    for (host, need) in needs {
        if need.restarts() && is_formed {
            continue;
        }
        let live = view::talk(settings, host, cx.facts);
        if need.restarts()
            && let Some(live) = live.up()
            && live.replicas.as_ref().is_ok_and(|tables| !tables.is_empty())
        {
            let text = "it is restarted, and holds replicated tables: whoever uses it already is interrupted";
            plan.note(Level::Warning, Some(host), text);
        }
        // A new member of Keeper follows only once the others have learned of it.
        let gate = if others_restart && joins(settings, &quorum, host) {
            gates::loaded(settings, cx, host)
        } else {
            gates::serving(settings, cx, host)
        };
        let revives = need.starts() && health::is_only_missed(settings, host, cx.facts);
        plan.tasks.push(task(settings, host, &need, revives).gate(gate));
    }
    plan
}

/// The step `restart`.
pub(super) fn plan_restart(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let quorum = Quorum::find(settings, cx.facts);
    let mut restarts = needs(settings, cx, &mut plan);
    // The step before has said so.
    plan.unplanned.clear();
    restarts.retain(|(_, need)| need.restarts());
    if restarts.is_empty() || !is_formed(settings, &quorum, cx) {
        return plan;
    }
    let leads = |host: &HostName| {
        settings.keeper().is_some()
            && matches!(quorum.on(host).map(|member| &member.peer), Some(Peer::Leader(_)))
    };
    // Members of Keeper that join or leave go first: the others must find them, or do without them.
    let is_settled = |host: &HostName| {
        settings.keeper().is_some() && quorum.on(host).is_some_and(|member| member.peer.is_serving())
    };
    restarts.sort_by_key(|(host, _)| (is_settled(host), leads(host)));
    let all: Vec<HostName> = restarts.iter().map(|(host, _)| (*host).clone()).collect();
    for (host, need) in restarts {
        if let Some(refusal) = keeps_quorum(settings, &quorum, host, &all, &need, cx) {
            plan.refusals.push(refusal);
            continue;
        }
        let gate = if joins(settings, &quorum, host) && all.len() > 1 {
            gates::loaded(settings, cx, host)
        } else {
            gates::serving(settings, cx, host)
        };
        plan.tasks.push(task(settings, host, &need, true).gate(gate));
    }
    plan
}

/// Whether a host's member of Keeper is not in the quorum that is there.
fn joins(settings: &Settings, quorum: &Quorum, host: &HostName) -> bool {
    settings.keeper().is_some() && quorum.lacks(host)
}

/// A member of Keeper is restarted only while the others are a majority by themselves. A quorum of two is not one without
/// either of them, which is said when the inventory is read; there, all that are left must serve.
fn keeps_quorum(
    settings: &Settings,
    quorum: &Quorum,
    host: &HostName,
    restarted: &[HostName],
    need: &Need,
    cx: &Cx<'_>,
) -> Option<Refusal> {
    settings.keeper()?;
    let own = quorum.on(host)?;
    let others: Vec<_> = quorum
        .members
        .iter()
        .filter(|member| member.name != own.name)
        .collect();
    // Those that this plan starts, or restarts as the first, are there by then.
    let there = others.iter().filter(|member| {
        let starts = member.host.as_ref().is_some_and(|host| {
            cx.tells(host, &settings.unit, protocol::UnitVerb::Start) || restarted.contains(host)
        });
        member.peer.is_serving() || starts
    });
    let there = there.count();
    (own.peer.is_serving() && there < quorum.majority() && there < others.len()).then(|| Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} is not restarted ({})", need.reason),
        why: format!(
            "the quorum of Keeper would be lost while it is down: {}",
            quorum.trouble().unwrap_or_default()
        ),
        way_out: "bring the missing members back first".to_owned(),
        consent: None,
    })
}

fn task(settings: &Settings, host: &HostName, need: &Need, disrupts: bool) -> Task {
    let words: Vec<&str> = need.verbs.iter().map(|verb| verb.as_str()).collect();
    let title = format!("{} {}", words.join(" and "), settings.unit);
    let operation = Operation::Unit {
        name: settings.unit.clone(),
        verbs: need.verbs.clone(),
    };
    Task::new(host, title, need.reason.clone(), action(operation, UNIT)).disrupting(disrupts)
}
