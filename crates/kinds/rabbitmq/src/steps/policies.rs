//! The step `policies`: every virtual host that exists has the policies of the inventory.
//!
//! The runbook sets its policy in the virtual hosts of the moment; one that is made later has none, and the next
//! plan shows it. Where the inventory names no policies, the runbook's `ha-all` is set until 4.0, and none from then on: the
//! step `vhosts` makes quorum queues the default. A policy that the inventory does not name is left alone.

use plan::{Level, Refusal};
use types::HostName;

use crate::observe::{SeenPolicy, View};
use crate::rules::commands::{ctl, run};
use crate::rules::contact::{Contact, NoContact, contact};
use crate::settings::{Policy, Settings};
use kit::{Cx, QUICK, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    match contact(&view, cx) {
        Ok(contact) => plan_on(&view, &contact, &mut plan),
        Err(NoContact::FirstNotReached) => {}
        Err(NoContact::Unknown(host, unknown)) => plan.unplanned.push((host.clone(), unknown.to_string())),
        Err(NoContact::Silent) => {
            let text =
                "no member of the cluster answers: whether its policies are right is seen when one does";
            plan.note(Level::Info, None, text);
        }
    }
    plan
}

fn plan_on(view: &View<'_>, contact: &Contact<'_>, plan: &mut StepPlan) {
    let broker = &contact.broker;
    // Those that this plan makes too.
    let all: Vec<&String> = broker.vhosts.iter().chain(contact.missing_vhosts(view)).collect();
    for policy in &view.settings.policies(broker.has_mirrors()) {
        if policy.definition.contains_key("ha-mode") && !broker.has_mirrors() {
            plan.refusals.push(mirroring_is_gone(policy, &broker.version));
            continue;
        }
        let vhosts = match &policy.vhosts {
            Some(named) => named.iter().collect(),
            None => all.clone(),
        };
        for vhost in vhosts {
            let mut policies = broker.policies.iter();
            let seen = policies.find(|seen| seen.vhost == *vhost && seen.name == policy.name);
            let reason = match seen {
                Some(seen) => difference(policy, seen),
                None => Some(format!("the virtual host {vhost:?} has no such policy")),
            };
            plan.tasks
                .extend(reason.map(|reason| set(contact.host, policy, vhost, reason)));
        }
    }
}

fn difference(wanted: &Policy, seen: &SeenPolicy) -> Option<String> {
    let changed = |what: &str, from: &str, to: &str| Some(format!("its {what} is {from} instead of {to}"));
    if seen.pattern != wanted.pattern {
        return changed(
            "pattern",
            &format!("{:?}", seen.pattern),
            &format!("{:?}", wanted.pattern),
        );
    }
    // The order of keys means nothing.
    if seen.definition != wanted.definition {
        let text = |map: &serde_json::Map<_, _>| serde_json::Value::Object(map.clone()).to_string();
        return changed("definition", &text(&seen.definition), &text(&wanted.definition));
    }
    if seen.priority != wanted.priority {
        return changed(
            "priority",
            &seen.priority.to_string(),
            &wanted.priority.to_string(),
        );
    }
    if seen.apply_to != wanted.apply_to {
        return changed("apply-to", &seen.apply_to, &wanted.apply_to);
    }
    None
}

fn set(host: &HostName, policy: &Policy, vhost: &str, reason: String) -> Task {
    let definition = serde_json::Value::Object(policy.definition.clone()).to_string();
    let priority = policy.priority.to_string();
    let words = [
        "set_policy",
        "-p",
        vhost,
        "--priority",
        &priority,
        "--apply-to",
        &policy.apply_to,
        &policy.name,
        &policy.pattern,
        &definition,
    ];
    let title = format!("set the policy {} in the virtual host {vhost}", policy.name);
    run(host, title, reason, vec![ctl(&words)], QUICK).part(format!("{}.{vhost}", policy.name))
}

fn mirroring_is_gone(policy: &Policy, version: &str) -> Refusal {
    Refusal::new(
        format!("the policy {} is not set", policy.name),
        format!("it mirrors classic queues (ha-mode), which RabbitMQ {version} no longer has"),
        "use quorum queues: they are the default of virtual hosts without queues (`default_queue_type`); move old queues by \
         hand, and take ha-mode out of the policies",
    )
}
