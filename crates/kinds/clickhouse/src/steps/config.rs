//! The step `config`: the files under config.d and users.d, as the server's own config.xml wants them.

use crate::observe::view::View;
use crate::rules::coordination::interim_membership;
use crate::rules::file_change::Stop;
use crate::rules::server::config_files;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    for host in cx.hosts {
        let tasks = Stop::unless_refused(config_files::tasks(&quorum, host));
        plan.add(host, tasks.map(Option::unwrap_or_default));
    }
    let departing = quorum
        .membership
        .departing
        .iter()
        .filter(|_| settings.keeper().is_some());
    for host in departing.filter(|host| cx.others.contains(host)) {
        plan.tasks
            .extend(config_files::keeper_task(&quorum, host).ok().flatten());
    }
    plan
}
