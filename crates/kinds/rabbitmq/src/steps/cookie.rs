//! The step `cookie`: the Erlang cookie is the same on all members.
//!
//! Members with different cookies do not talk to each other, so on a formed cluster a new cookie takes effect on all
//! of them at once or not at all. That stops the service, and needs consent.

use plan::Refusal;
use protocol::{FileState, Operation, Text};
use types::HostName;

use crate::observe::{View, queries};
use crate::rules::consents::COOKIE;
use crate::rules::cookie::changes_for_all;
use crate::settings::Settings;
use kit::{Cx, DesiredFile, StepPlan, Task, each_host};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let query = queries::cookie(settings);
    let mut plan = each_host(cx, |host| {
        let desired = DesiredFile {
            query: &query,
            text: Text::secret(&settings.cookie),
            // "Cookie file .erlang.cookie must be accessible by owner only" otherwise, and the node does not start.
            mode: 0o400,
            owner: "rabbitmq",
            group: "rabbitmq",
        };
        let mut task = desired.plan(host, cx.facts)?;
        if let Some(Operation::WriteFile { was, .. }) = operation(&mut task)
            && cx.installs(host, &settings.package)
        {
            // The package's broker makes one up when it starts.
            *was = FileState::Any;
        }
        Ok(task.into_iter().collect())
    });
    let changing = view.on(cx.hosts).filter(|member| changes_for_all(&view, member));
    let changing: Vec<&HostName> = changing.map(|member| member.host).collect();
    let refused = changing.iter().filter(|host| !cx.is_allowed(COOKIE, host));
    let refusals: Vec<Refusal> = refused.map(|host| refusal(host)).collect();
    if !refusals.is_empty() {
        plan.tasks.retain(|task| !changing.contains(&&task.host));
    }
    plan.refusals.extend(refusals);
    plan
}

fn operation(task: &mut Option<Task>) -> Option<&mut Operation> {
    Some(&mut task.as_mut()?.action.as_mut()?.operation)
}

fn refusal(host: &HostName) -> Refusal {
    let refusal = Refusal::new(
        format!("{host} does not get another Erlang cookie"),
        "it is a member of a formed cluster, and another cookie means that all members are stopped at the same time",
        "put the cookie that the cluster runs with back, or allow the change on every member",
    );
    refusal.on(host).unless_allowed(COOKIE, host)
}
