//! The step `zookeeper-start`: all voters outside the quorum at once, for a quorum comes up together.

use crate::checks;
use crate::observe::view::View;
use crate::rules::availability::is_only_missed;
use crate::rules::coordination::{election, interim_membership};
use crate::rules::need::zookeeper_process;
use crate::settings::Settings;
use crate::steps::departing_voter;
use crate::steps::zookeeper::{needs, only_idle};
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    for (host, need) in needs(&quorum, zookeeper, cx, &mut plan) {
        if election::is_needed(&quorum, host) && need.restarts() {
            continue;
        }
        // A voter that the quorum does not know yet follows it only once the others were restarted.
        let gate = if quorum.membership.joining.contains(host) || !need.starts() {
            checks::member_up(settings, cx, host)
        } else {
            checks::quorum(settings, cx)
        };
        let revives = need.starts() && is_only_missed(&quorum, host);
        let task = zookeeper_process(zookeeper, host).task(&need);
        let task = task.disrupting(revives).gate(gate);
        let is_idle = need.restarts() && quorum.is_in_use() && !cx.installs(host, &zookeeper.package);
        plan.tasks.push(if is_idle {
            checks::guarded(only_idle(task, settings, cx), settings, false, cx)
        } else {
            task
        });
    }
    plan.tasks.extend(departing_voter::revive(&quorum, cx));
    plan
}
