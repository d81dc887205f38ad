//! The step `vhosts`: the virtual hosts that the inventory names, or gives users permissions in, exist. Others are left
//! alone.
//!
//! From 4.0 on classic queues cannot be replicated, and clients that name no type get a quorum queue in these virtual hosts and
//! in `/`. It is the virtual host's own setting, so no broker is restarted. One that has queues keeps its default: clients that
//! declare an existing classic queue again without a type would get 406 (seen with 4.0.5).

use plan::Level;
use types::HostName;

use crate::observe::{Broker, View};
use crate::rules::commands::{ctl, run};
use crate::rules::contact::contact;
use crate::rules::preconditions::has_no_queue;
use crate::settings::{QueueType, Settings};
use kit::{Cx, QUICK, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    // The step `policies` says why there is no contact.
    let Ok(contact) = contact(&view, cx) else {
        return plan;
    };
    let has_quorum_default =
        settings.default_queue_type == QueueType::Quorum && !contact.broker.has_mirrors();
    for vhost in contact.missing_vhosts(&view) {
        let of_type: &[&str] = if has_quorum_default {
            &["--default-queue-type", "quorum"]
        } else {
            &[]
        };
        let commands = vec![ctl(&[&["add_vhost"], of_type, &["--", vhost]].concat())];
        let title = format!("make the virtual host {vhost}");
        let task = run(contact.host, title, "it is missing", commands, QUICK);
        plan.tasks.push(task.part(vhost.clone()));
    }
    if has_quorum_default {
        for vhost in with_other_default(settings, &contact.broker) {
            if contact.broker.queues.iter().any(|(of, _)| of == vhost) {
                plan.note(Level::Info, None, keeps_its_default(vhost));
            } else {
                plan.tasks.push(make_default(settings, contact.host, vhost));
            }
        }
    }
    plan
}

/// Of the virtual hosts of the inventory and `/` those whose clients get other queues than quorum queues.
fn with_other_default<'b>(settings: &Settings, broker: &'b Broker) -> impl Iterator<Item = &'b str> {
    let types = broker.queue_types.iter();
    let types = types.filter(|(vhost, _)| vhost == "/" || settings.vhosts.contains(vhost));
    types
        .filter(|(_, kind)| kind != "quorum")
        .map(|(vhost, _)| vhost.as_str())
}

fn make_default(settings: &Settings, host: &HostName, vhost: &str) -> Task {
    let words = [
        "update_vhost_metadata",
        "--default-queue-type",
        "quorum",
        "--",
        vhost,
    ];
    let title = format!("make quorum queues the default of the virtual host {vhost}");
    let reason = "other queues are on one member; it has none yet";
    run(host, title, reason, vec![ctl(&words)], QUICK)
        .only_if([has_no_queue(settings, host, vhost)])
        .part(format!("type.{vhost}"))
}

fn keeps_its_default(vhost: &str) -> String {
    format!(
        "clients that name no type get classic queues in the virtual host {vhost:?}, each on one member; it has queues, so \
         this is not changed: `rabbitmqctl update_vhost_metadata {vhost} --default-queue-type quorum` does, and then clients \
         that declare a classic queue again without its type get 406 (inequivalent arg 'x-queue-type')"
    )
}
