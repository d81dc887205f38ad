//! The step `restart`: servers run with what their files say.
//!
//! The servers of a formed cluster restart one after another, the leader of its Keeper last.

use types::HostName;

use crate::checks;
use crate::observe::coordination::voter::VoterState;
use crate::observe::view::View;
use crate::rules::availability::is_only_missed;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::{interim_membership, quorum_guard};
use crate::settings::Settings;
use crate::steps::departing_voter;
use crate::steps::servers::{self, is_formed, joins, needs, start_late};
use kit::{Cx, Need, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    let has_keeper = settings.keeper().is_some();
    let restarts = restarts(&quorum, cx, &mut plan);
    if restarts.is_empty() || !is_formed(&quorum) {
        return plan;
    }
    if has_keeper {
        let leader = quorum.outside_leader();
        if leader.is_some_and(|leader| !settings.hosts.contains(leader.host)) {
            plan.tasks.extend(departing_voter::step_down(&quorum, cx));
        }
    }
    let all: Vec<HostName> = restarts.iter().map(|(host, _)| (*host).clone()).collect();
    for (host, need) in restarts {
        if has_keeper && let Some(refusal) = quorum_guard::refusal(&quorum, host, &all, &need.reason, cx) {
            plan.refusals.push(refusal);
            continue;
        }
        let gate = if joins(&quorum, host) && all.len() > 1 {
            checks::loaded(settings, cx, host)
        } else {
            checks::serving(settings, cx, host)
        };
        let disrupts = need.restarts() || is_only_missed(&quorum, host);
        let task = servers::task(settings, host, &need)
            .disrupting(disrupts)
            .gate(gate);
        // A Keeper restarts with its server; a departing one that is dead counts in the quorum, and in no budget.
        plan.tasks.push(if has_keeper && need.restarts() {
            checks::guarded(task, settings, false, cx)
        } else {
            task
        });
    }
    plan
}

/// The servers that restart, in order.
fn restarts<'c>(quorum: &Quorum<'_>, cx: &Cx<'c>, plan: &mut StepPlan) -> Vec<(&'c HostName, Need)> {
    let mut restarts = needs(quorum, cx, plan);
    if start_late(quorum) {
        // Those that do not run first.
        restarts.sort_by_key(|(_, need)| need.restarts());
    } else {
        // The step before has said of which nothing is known.
        plan.unplanned.clear();
        restarts.retain(|(_, need)| need.restarts());
    }
    if quorum.view.settings.keeper().is_some() {
        restarts.sort_by_key(|(host, _)| turn(quorum, host));
    }
    restarts
}

/// When a host's Keeper has its turn.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum KeeperTurn {
    /// A former voter that leads: another one must.
    FormerLeader,
    /// The others must find those that join.
    Joining,
    Follower,
    Leader,
    /// A former voter votes until the others have learned of it.
    Former,
}

fn turn(quorum: &Quorum<'_>, host: &HostName) -> KeeperTurn {
    match quorum.on(host).map(|voter| &voter.state) {
        Some(VoterState::Leader(_)) => KeeperTurn::Leader,
        // During an election, one that looks for a leader is as good as one that follows.
        Some(VoterState::Follower | VoterState::Looking) if !quorum.lacks(host) => KeeperTurn::Follower,
        Some(_) => KeeperTurn::Joining,
        None if quorum.view.voter(host).state.is_leader() => KeeperTurn::FormerLeader,
        None => KeeperTurn::Former,
    }
}
