//! The step `zookeeper-config`: zoo.cfg, the voter's number and the heap.

use crate::observe::view::View;
use crate::rules::coordination::{interim_membership, zookeeper_files};
use crate::rules::file_change::Stop;
use crate::rules::{doubt, need};
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some(zookeeper) = settings.zookeeper() else {
        return plan;
    };
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    for host in cx.hosts.iter().filter(|host| quorum.membership.has(host)) {
        let tasks = Stop::unless_refused(zookeeper_files::tasks(&quorum, zookeeper, host, cx));
        let tasks = tasks.map(Option::unwrap_or_default);
        let restarts = || {
            need::zookeeper(&quorum, zookeeper, host, cx)
                .is_ok_and(|need| need.is_some_and(|need| need.restarts()))
        };
        let changes = tasks.as_ref().is_ok_and(|tasks| !tasks.is_empty()) || restarts();
        match changes.then(|| doubt::zookeeper(&quorum, host)).flatten() {
            Some(refusal) => plan.refusals.push(refusal),
            None => plan.add(host, tasks),
        }
    }
    plan
}
