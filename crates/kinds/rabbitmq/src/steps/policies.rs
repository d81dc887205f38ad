//! Policies: every virtual host that exists has those of the inventory.
//!
//! The runbook sets its policy in the virtual hosts of the moment; one that is made later has none, and the next
//! plan shows it. A policy that the inventory does not name is left alone.

use plan::{Level, Preview, Refusal};
use protocol::{Command, Operation};
use types::HostName;

use crate::observe::view::{self, Broker, Node, SeenPolicy};
use crate::settings::{Policy, Settings};
use crate::steps::cookie::is_clustered;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some((host, broker)) = spokesman(settings, cx, &mut plan) else {
        return plan;
    };
    let mut vhosts = broker.vhosts.clone();
    vhosts.extend(crate::steps::vhosts::missing(settings, &broker).cloned());
    for policy in &settings.policies {
        if policy.definition.contains_key("ha-mode") && major(&broker.version) >= Some(4) {
            plan.refusals.push(mirroring_is_gone(policy, &broker.version));
            continue;
        }
        let vhosts: Vec<&String> = match &policy.vhosts {
            Some(named) => named.iter().collect(),
            // Those that this plan makes too.
            None => vhosts.iter().collect(),
        };
        for vhost in vhosts {
            let seen = broker
                .policies
                .iter()
                .find(|seen| seen.vhost == *vhost && seen.name == policy.name);
            let reason = match seen {
                Some(seen) => match difference(policy, seen) {
                    Some(difference) => difference,
                    None => continue,
                },
                None => format!("the virtual host {vhost:?} has no such policy"),
            };
            plan.tasks.push(set(host, policy, vhost, reason));
        }
    }
    plan
}

/// The member that is told, with what it says of the cluster: the first that is up, in a cluster if there is one; else
/// the first host, which this plan starts. `None` where too little is known, which is reported.
pub(crate) fn spokesman<'h>(
    settings: &'h Settings,
    cx: &Cx<'h>,
    plan: &mut StepPlan,
) -> Option<(&'h HostName, Broker)> {
    let up = |host: &'h HostName| match view::node(settings, host, cx.facts) {
        Ok(Node::Up(broker)) => Some((host, *broker)),
        _ => None,
    };
    let mut running = cx.hosts.iter().filter_map(up);
    if let Some(member) = running.find(|(_, broker)| broker.members.len() > 1) {
        return Some(member);
    }
    let first = cx
        .hosts
        .first()
        .filter(|first| settings.hosts.first() == Some(*first))?;
    match view::node(settings, first, cx.facts) {
        Ok(Node::Up(broker)) => Some((first, *broker)),
        Err(unknown) => {
            plan.unplanned.push((first.clone(), unknown.to_string()));
            None
        }
        Ok(_) if cx.hosts.iter().any(|host| is_clustered(settings, host, cx)) => {
            let text =
                "no member of the cluster answers: whether its policies are right is seen when one does";
            plan.note(Level::Info, None, text);
            None
        }
        Ok(_) => Some((first, fresh())),
    }
}

/// A node that was never used, as far as policies go.
fn fresh() -> Broker {
    Broker {
        vhosts: vec!["/".to_owned()],
        ..Broker::default()
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
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
    if !same_keys(&seen.definition, &wanted.definition) {
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

/// Whether two objects are equal; the order of keys means nothing.
fn same_keys(
    a: &serde_json::Map<String, serde_json::Value>,
    b: &serde_json::Map<String, serde_json::Value>,
) -> bool {
    a.len() == b.len() && a.iter().all(|(key, value)| b.get(key) == Some(value))
}

fn set(host: &HostName, policy: &Policy, vhost: &str, reason: String) -> Task {
    let definition = serde_json::Value::Object(policy.definition.clone()).to_string();
    let priority = policy.priority.to_string();
    let words = [
        "rabbitmqctl",
        "-q",
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
    let operation = Operation::Run {
        commands: vec![Command::new(words)],
    };
    let title = format!("set the policy {} in the virtual host {vhost}", policy.name);
    Task::new(host, title, reason, action(operation, QUICK))
        .part(format!("{}.{vhost}", policy.name))
        .preview(Preview::Commands(vec![words.join(" ")]))
}

fn mirroring_is_gone(policy: &Policy, version: &str) -> Refusal {
    Refusal {
        service: None,
        host: None,
        what: format!("the policy {} is not set", policy.name),
        why: format!("it mirrors classic queues (ha-mode), which RabbitMQ {version} no longer has"),
        way_out: "use quorum queues: set default_queue_type = quorum for new queues, move the old ones, \
                  and set `policies = {}` or policies without ha-mode"
            .to_owned(),
        consent: None,
    }
}
