//! Virtual hosts: those that the inventory names, or gives users permissions in, exist. Others are left alone.

use plan::Preview;
use protocol::{Command, Operation};
use types::HostName;

use crate::observe::view::Broker;
use crate::settings::Settings;
use crate::steps::policies::spokesman;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

/// The member that is told, with what the cluster has. Why there is none is said once, by the step `policies`.
pub(crate) fn told<'h>(settings: &'h Settings, cx: &Cx<'h>) -> Option<(&'h HostName, Broker)> {
    spokesman(settings, cx, &mut StepPlan::nothing())
}

/// The virtual hosts that are to exist and do not.
pub(crate) fn missing<'s>(settings: &'s Settings, broker: &Broker) -> impl Iterator<Item = &'s String> {
    settings
        .vhosts
        .iter()
        .filter(|vhost| !broker.vhosts.contains(vhost))
}

pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some((host, broker)) = told(settings, cx) else {
        return plan;
    };
    for vhost in missing(settings, &broker) {
        let words = ["rabbitmqctl", "-q", "add_vhost", "--", vhost];
        let operation = Operation::Run {
            commands: vec![Command::new(words)],
        };
        let title = format!("make the virtual host {vhost}");
        let task = Task::new(host, title, "it is missing", action(operation, QUICK));
        plan.tasks.push(
            task.part(vhost.clone())
                .preview(Preview::Commands(vec![words.join(" ")])),
        );
    }
    plan
}
