//! The step `grow`: every quorum queue has a member on every host, where the inventory says so.
//!
//! A quorum queue keeps the members that it was made with. Where hosts come and go, it would stay on the old ones and
//! get smaller with each that leaves; `rabbitmq-queues grow` gives it a member on a node
//! (<https://www.rabbitmq.com/docs/quorum-queues#member-management>).

use protocol::{Command, Operation};
use types::HostName;

use crate::checks::Check;
use crate::observe::{Queue, View, quorum_queues};
use crate::rules::commands::{queues_ctl, run};
use crate::rules::contact::contact;
use crate::settings::{NodeName, Settings};
use kit::{Cx, StepPlan, Task, UNIT};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    if !settings.grow_quorum_queues {
        return plan;
    }
    let view = View::new(settings, cx.facts);
    let is_up = |host: &HostName| view.member(host).is_ok_and(|member| member.broker().is_some());
    // A cluster that this plan begins has no queues.
    let contact = contact(&view, cx).ok().filter(|contact| is_up(contact.host));
    let Some(contact) = contact else {
        return plan;
    };
    let queues = match quorum_queues(&view, contact.host) {
        Ok(queues) => queues,
        Err(why) => {
            plan.unplanned.push((contact.host.clone(), why.to_string()));
            return plan;
        }
    };
    for member in view.on(cx.hosts) {
        // One that was rebuilt loses all of its members before it joins.
        let is_forgotten = cx
            .earlier_on(member.host)
            .any(|done| runs(done, "forget_cluster_node"));
        let lacking = queues
            .iter()
            .find(|queue| is_forgotten || !queue.is_on(&member.name));
        let is_started = || cx.earlier_on(member.host).any(starts);
        if let Some(queue) = lacking.filter(|_| is_up(member.host) || is_started()) {
            plan.tasks.push(grow(settings, contact.host, member.host, queue));
        }
    }
    plan
}

/// Whether an operation leaves a broker running that may not have been.
fn starts(operation: &Operation) -> bool {
    matches!(operation, Operation::Unit { .. }) || runs(operation, "start_app")
}

/// Whether an operation runs a command of `rabbitmqctl`.
fn runs(operation: &Operation, word: &str) -> bool {
    let is_it = |command: &Command| command.argv.iter().any(|found| found == word);
    matches!(operation, Operation::Run { commands } if commands.iter().any(is_it))
}

fn grow(settings: &Settings, contact: &HostName, host: &HostName, lacking: &Queue) -> Task {
    let node = NodeName::of(host);
    let commands = vec![queues_ctl(&["grow", node.as_str(), "all"])];
    let title = format!("give quorum queues a member on {host}");
    let reason = format!("the {} has no member there", lacking.name);
    let grown = format!("every quorum queue has a member on {node}");
    run(contact, title, reason, commands, UNIT)
        .part(format!("grow-{host}"))
        .gate(Check::Grown(node).gate(settings, contact, grown))
}
