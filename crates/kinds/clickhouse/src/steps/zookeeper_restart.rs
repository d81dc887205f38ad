//! The step `zookeeper-restart`: voters in the quorum restart one after another, the leader last; then former voters stop.
//!
//! A departing voter votes until the others have learned of it, so that none of their restarts takes the majority. It does
//! not lead meanwhile: a voter with the new configuration does not follow a leader that is not in it
//! (`FastLeaderElection`).

use types::HostName;

use crate::checks;
use crate::observe::view::View;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::{election, interim_membership, quorum_guard};
use crate::rules::need::zookeeper_process;
use crate::settings::{Settings, ZooKeeper};
use crate::steps::departing_voter;
use crate::steps::zookeeper::{needs, only_idle};
use kit::{Cx, Need, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    let restarts = restarts(&quorum, zookeeper, cx);
    let stopped = departing_voter::stop(&quorum, cx);
    // Of two, none follows the other while that one is led on by a third that it does not know: the third goes first.
    if quorum.membership.is_small() {
        plan.tasks.extend(stopped.clone());
    } else if !restarts.is_empty() {
        plan.tasks.extend(departing_voter::step_down(&quorum, cx));
    }
    let introduced = departing_voter::introduce(&quorum, cx).unwrap_or_else(|refusal| {
        plan.refusals.push(*refusal);
        Vec::new()
    });
    // A voter that starts again finds most of its voters with the leader only while that one stays: the leader is the last.
    let leader_departs = quorum.membership.departing.iter().any(|host| quorum.leads(host));
    let (first, last) = if leader_departs {
        (Vec::new(), introduced)
    } else {
        (introduced, Vec::new())
    };
    let learning = restarts.iter().map(|(host, _)| *host);
    let restarted: Vec<HostName> = learning
        .chain(first.iter().chain(&last).map(|task| &task.host))
        .cloned()
        .collect();
    plan.tasks.extend(first);
    restart(&quorum, zookeeper, restarts, &restarted, cx, &mut plan);
    plan.tasks.extend(last);
    // A former member stops both of its processes in the step `leave`.
    let stays = |task: &Task| !quorum.membership.is_small() && cx.hosts.contains(&task.host);
    plan.tasks.extend(stopped.into_iter().filter(stays));
    plan
}

/// The voters that are needed and restart, the leader last. The step before has said of which nothing is known.
fn restarts<'c>(quorum: &Quorum<'_>, zookeeper: &ZooKeeper, cx: &Cx<'c>) -> Vec<(&'c HostName, Need)> {
    let mut restarts = needs(quorum, zookeeper, cx, &mut StepPlan::nothing());
    restarts.retain(|(host, need)| need.restarts() && election::is_needed(quorum, host));
    let turn = election::turn(quorum, cx);
    restarts.sort_by_key(|(host, _)| turn(host));
    restarts
}

/// Restarts voters in this order.
fn restart(
    quorum: &Quorum<'_>,
    zookeeper: &ZooKeeper,
    restarts: Vec<(&HostName, Need)>,
    restarted: &[HostName],
    cx: &Cx<'_>,
    plan: &mut StepPlan,
) {
    let (view, settings) = (quorum.view, quorum.view.settings);
    let in_vain = election::is_in_vain(quorum, zookeeper, cx);
    let last = restarts.last().map(|(host, _)| *host);
    for (host, need) in restarts {
        if let Some(refusal) = quorum_guard::refusal(quorum, host, restarted, &need.reason, cx) {
            plan.refusals.push(refusal);
            continue;
        }
        let gate = if in_vain && last != Some(host) {
            checks::member_up(settings, cx, host)
        } else {
            checks::reached_again(view, cx)
        };
        let mut task = zookeeper_process(zookeeper, host).task(&need);
        task = task.disrupting(!in_vain).gate(gate);
        if in_vain {
            task = only_idle(task, settings, cx);
        }
        plan.tasks.push(checks::guarded(task, settings, in_vain, cx));
    }
}
