//! The step `config`: the files under config.d and users.d, as the server's own config.xml wants them.

use crate::observe::view::View;
use crate::rules::coordination::interim_membership;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::file_change::Stop;
use crate::rules::server::config_files::{self, USERS};
use crate::rules::{doubt, need};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};
use plan::Refusal;
use types::HostName;

/// Why nothing but its users is changed on a host that would be changed or restarted otherwise.
fn refusal(
    view: &View<'_>,
    quorum: &Quorum<'_>,
    host: &HostName,
    tasks: &[Task],
    cx: &Cx<'_>,
) -> Option<Refusal> {
    let member = view.member(host)?;
    let restarts =
        || need::server(quorum, host, cx).is_ok_and(|need| need.is_some_and(|need| need.restarts()));
    let changes = tasks.iter().any(|task| task.part != USERS) || restarts();
    let doubt = || doubt::server(view.settings, member).or_else(|| doubt::keeper(view.settings, member));
    changes.then(doubt).flatten()
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    for host in cx.hosts {
        let tasks = Stop::unless_refused(config_files::tasks(&quorum, host, cx));
        let tasks = tasks.map(Option::unwrap_or_default);
        match refusal(&view, &quorum, host, tasks.as_deref().unwrap_or_default(), cx) {
            // A user that may log in is what mends a refused login, and the server takes it without a restart.
            Some(refusal) => {
                let mut users = tasks.unwrap_or_default();
                users.retain(|task| task.part == USERS);
                plan.refusals.push(if users.is_empty() {
                    refusal
                } else {
                    refusal.passing()
                });
                plan.tasks.extend(users);
            }
            None => plan.add(host, tasks),
        }
    }
    let departing = quorum
        .membership
        .departing
        .iter()
        .filter(|_| settings.keeper().is_some());
    for host in departing.filter(|host| cx.others.contains(host)) {
        plan.tasks
            .extend(config_files::keeper_task(&quorum, host, cx).ok().flatten());
    }
    plan
}
