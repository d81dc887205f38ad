//! The step `join`: one cluster out of nodes that are alone.
//!
//! The nodes join the members that already form the cluster, or else the first host of the inventory. A node that joins
//! loses everything it has, so it joins only if it has nothing, and the agent asks it again right before the reset.

use std::collections::BTreeSet;

use plan::Refusal;
use types::HostName;

use crate::checks::Check;
use crate::observe::{Broker, Member, View};
use crate::rules::commands::{ctl, run};
use crate::rules::consents::RESET;
use crate::rules::membership::{Membership, membership, seed};
use crate::rules::preconditions::{is_alone, is_unused};
use crate::settings::{NodeName, Settings, list};
use kit::{Cx, StepPlan, Task, UNIT};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    let mut memberships = Vec::new();
    for member in view.on(cx.hosts) {
        match membership(&view, member) {
            Ok(membership) => memberships.push((member, membership)),
            Err(why) => plan.unplanned.push((member.host.clone(), why)),
        }
    }
    let Some(seed) = seed(&view, &memberships) else {
        if memberships.len() > 1 {
            let why = "the others join it, and its state is not known";
            let first = settings.hosts.first().cloned();
            plan.unplanned.extend(first.map(|first| (first, why.to_owned())));
        }
        return plan;
    };
    for (member, membership) in memberships {
        match membership {
            Membership::Alone(broker) if member.host != seed.host => match loss(member, seed, broker, cx) {
                Some(refusal) => plan.refusals.push(refusal),
                None => plan.tasks.extend(join(&view, member, seed, cx)),
            },
            Membership::Foreign(members) => plan.refusals.push(foreign(member.host, members)),
            Membership::Alone(_) | Membership::Member => {}
        }
    }
    plan
}

/// Refuses to reset a node that holds something, without consent.
fn loss(member: &Member<'_>, seed: &Member<'_>, broker: Option<&Broker>, cx: &Cx<'_>) -> Option<Refusal> {
    let host = member.host;
    let possession = broker.and_then(Broker::possession)?;
    if cx.is_allowed(RESET, host) {
        return None;
    }
    let resolve = if seed.is_clustered() {
        "move it elsewhere, or allow the loss".to_owned()
    } else {
        format!("move it elsewhere, or list {host} first so that the others join it, or allow the loss")
    };
    let refusal = Refusal::new(
        format!("{host} does not join the cluster of {}", seed.name),
        format!("joining resets it, and it holds {possession}"),
        resolve,
    );
    Some(refusal.on(host).unless_allowed(RESET, host))
}

fn join(view: &View<'_>, member: &Member<'_>, seed: &Member<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let (settings, host) = (view.settings, member.host);
    let version = view.version(member);
    let (proof, reason) = if cx.is_allowed(RESET, host) {
        let reason = "it is not in the cluster; the data that it holds are lost, with consent";
        (is_alone(settings, host, &version), reason)
    } else {
        (is_unused(settings, host, &version), "it is not in the cluster")
    };
    let commands = vec![
        ctl(&["stop_app"]),
        ctl(&["reset"]),
        ctl(&["join_cluster", seed.name.as_str()]),
        ctl(&["start_app"]),
    ];
    let whole = format!("{} sees all members that stay", seed.host);
    let joined = format!("{host} runs in the cluster and sees its members");
    let task = run(host, format!("join {}", seed.name), reason, commands, UNIT)
        .only_if([proof])
        .before(Check::Whole.gate(settings, seed.host, whole))
        .gate(Check::Joined.gate(settings, host, joined));
    forget_rebuilt(member, seed).into_iter().chain([task]).collect()
}

/// Lets the cluster forget a member that was rebuilt: the cluster counts it as a member, and it knows nothing of that.
fn forget_rebuilt(member: &Member<'_>, seed: &Member<'_>) -> Option<Task> {
    let (host, node) = (member.host, &member.name);
    let cluster = seed.broker()?;
    if !cluster.members.contains(node) || cluster.running.contains(node) {
        return None;
    }
    let commands = vec![ctl(&["forget_cluster_node", node.as_str()])];
    let reason = format!(
        "{host} was rebuilt: it is alone and holds nothing, and the cluster still counts it as a member"
    );
    let task = run(seed.host, format!("forget {node}"), reason, commands, UNIT);
    Some(task.part(format!("forget-{host}")))
}

fn foreign(host: &HostName, members: &BTreeSet<NodeName>) -> Refusal {
    let refusal = Refusal::new(
        format!("{host} does not join the cluster"),
        format!("it is a member of another one: {}", list(members)),
        format!(
            "list that cluster's hosts in the inventory, or take {host} out of it by hand: rabbitmqctl stop_app, \
             rabbitmqctl reset, rabbitmqctl start_app"
        ),
    );
    refusal.on(host)
}
