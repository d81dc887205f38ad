//! The steps `start` and `restart`: servers run, and run with what their files say.
//!
//! Where no cluster serves yet, all are started at once: Keeper's quorum comes up together or not at all. A cluster that
//! serves is restarted one member after another, the leader of its Keeper last.

use plan::Level;
use protocol::Operation;
use types::HostName;

use crate::checks as gates;
use crate::observe::server as view;
use crate::rules::coordination::interim_membership as stage;
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::coordination::quorum_guard as margin;
use crate::rules::need::{self, Need};
use crate::settings::Settings;
use crate::status as health;
use crate::steps::member_removal as rounds;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action};

/// Whether a cluster serves: some server knows it, and there is a quorum, or was.
fn is_formed(settings: &Settings, quorum: &Quorum, cx: &Cx<'_>) -> bool {
    let knows = |host: &HostName| {
        view::talk(settings, host, cx.facts)
            .up()
            .is_some_and(|live| !live.cluster.is_empty())
    };
    quorum::is_in_use(settings, quorum, cx.facts) && settings.hosts.iter().any(knows)
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

/// Whether servers start only after the members of the quorum were restarted, for nobody serves: an old server would not
/// survive its start.
fn starts_late(settings: &Settings, quorum: &Quorum, cx: &Cx<'_>) -> bool {
    settings.zookeeper().is_some() && !quorum.is_there() && is_formed(settings, quorum, cx)
}

/// The step `start`.
pub(crate) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let quorum = Quorum::find(settings, cx.facts);
    if starts_late(settings, &quorum, cx) {
        return plan;
    }
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
pub(crate) fn plan_restart(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let quorum = Quorum::find(settings, cx.facts);
    let mut restarts = needs(settings, cx, &mut plan);
    if starts_late(settings, &quorum, cx) {
        // Whoever serves nobody first.
        restarts.sort_by_key(|(_, need)| need.restarts());
    } else {
        // The step before has said so.
        plan.unplanned.clear();
        restarts.retain(|(_, need)| need.restarts());
    }
    if restarts.is_empty() || !is_formed(settings, &quorum, cx) {
        return plan;
    }
    // Members of Keeper that join go first, for the others must find them. Who leaves votes until the others have learned
    // of it, unless it leads: then another one must.
    let place = |host: &HostName| {
        let peer = quorum.on(host).map(|member| &member.peer);
        match (settings.keeper(), peer) {
            (None, _) => 0,
            (Some(_), Some(Peer::Leader(_))) => 3,
            (Some(_), Some(peer)) if peer.is_serving() => 2,
            (Some(_), Some(_)) => 1,
            (Some(_), None) if matches!(quorum::peer_on(settings, host, cx.facts), Peer::Leader(_)) => 0,
            (Some(_), None) => 4,
        }
    };
    restarts.sort_by_key(|(host, _)| place(host));
    if settings.keeper().is_some() {
        let leader = stage::foreign_leader(settings, cx.facts);
        if leader.is_some_and(|leader| !settings.hosts.contains(&leader)) {
            plan.tasks.extend(rounds::hand_over(settings, cx));
        }
    }
    let all: Vec<HostName> = restarts.iter().map(|(host, _)| (*host).clone()).collect();
    for (host, need) in restarts {
        if settings.keeper().is_some()
            && let Some(refusal) = margin::refusal(settings, host, &all, &need, cx)
        {
            plan.refusals.push(refusal);
            continue;
        }
        let gate = if joins(settings, &quorum, host) && all.len() > 1 {
            gates::loaded(settings, cx, host)
        } else {
            gates::serving(settings, cx, host)
        };
        let disrupts = need.restarts() || health::is_only_missed(settings, host, cx.facts);
        let task = task(settings, host, &need, disrupts).gate(gate);
        // A Keeper goes with its server; one that is to leave and is dead counts in the quorum, and in no budget.
        plan.tasks
            .push(if settings.keeper().is_some() && need.restarts() {
                margin::guarded(task, settings, cx)
            } else {
                task
            });
    }
    plan
}

/// Whether a host's member of Keeper is not in the quorum that is there.
fn joins(settings: &Settings, quorum: &Quorum, host: &HostName) -> bool {
    settings.keeper().is_some() && quorum.lacks(host)
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
