//! The step `join`: one cluster out of nodes that are alone.
//!
//! The nodes join the members that already form the cluster, or else the first host of the inventory. A node that joins
//! loses everything it has, so it joins only if it has nothing, and the agent asks it again right before the reset.

use std::collections::BTreeSet;

use plan::{Level, Refusal};
use protocol::Command;
use types::HostName;

use crate::checks::Check;
use crate::observe::{Broker, Member, View};
use crate::rules::commands::{ctl, run};
use crate::rules::consents::RESET;
use crate::rules::last_copy::stay_small;
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
            Membership::Alone(broker) if member.host != seed.host => {
                if let Some(refusal) = loss(member, seed, broker, cx) {
                    plan.refusals.push(refusal);
                    continue;
                }
                let cluster = counting(seed, member);
                if let Some(text) = cluster.and_then(|broker| stay_small(settings, broker, member.host)) {
                    plan.note(Level::Warning, Some(member.host), text);
                }
                plan.tasks.push(join(&view, member, seed, cx));
            }
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

fn join(view: &View<'_>, member: &Member<'_>, seed: &Member<'_>, cx: &Cx<'_>) -> Task {
    let (settings, host) = (view.settings, member.host);
    let version = view.version(member);
    let is_allowed = cx.is_allowed(RESET, host);
    let proof = if is_allowed {
        is_alone(settings, host, &version)
    } else {
        is_unused(settings, host, &version)
    };
    let (mut reason, mut commands, whole) = if counting(seed, member).is_some() {
        let reason = "it was rebuilt: the cluster counts it as a member, and forgets it first";
        let check = Check::WholeBut(member.name.clone());
        (reason.to_owned(), forget_rebuilt(settings, member, seed), check)
    } else {
        ("it is not in the cluster".to_owned(), Vec::new(), Check::Whole)
    };
    if is_allowed {
        reason.push_str("; the data that it holds are lost, with consent");
    }
    commands.extend([
        ctl(&["stop_app"]),
        ctl(&["reset"]),
        ctl(&["join_cluster", seed.name.as_str()]),
        ctl(&["start_app"]),
    ]);
    let title = match &whole {
        Check::WholeBut(node) => format!("{} sees all other members than {node} that stay", seed.host),
        _ => format!("{} sees all members that stay", seed.host),
    };
    let joined = format!("{host} runs in the cluster and sees its members");
    run(host, format!("join {}", seed.name), reason, commands, UNIT)
        .only_if([proof])
        .before(whole.gate(settings, seed.host, title))
        .gate(Check::Joined.gate(settings, host, joined))
}

/// The broker of the seed, where it counts a node that is alone as a member: the node was rebuilt.
fn counting<'s>(seed: &'s Member<'_>, member: &Member<'_>) -> Option<&'s Broker> {
    let broker = seed.broker();
    broker.filter(|broker| broker.members.contains(&member.name))
}

/// Lets the cluster forget a member that was rebuilt, while its node is off: one that can be reached, even with its broker
/// stopped, is only asked to leave, and with Khepri it leaves a store of its own (seen with 4.0.5: it stays a member, and
/// its next reset does not take it out). It is done on its own host, in one action, so that no run ends in the middle.
fn forget_rebuilt(settings: &Settings, member: &Member<'_>, seed: &Member<'_>) -> Vec<Command> {
    let systemctl = |verb| Command::new(["systemctl", verb, &settings.unit]);
    let forget = [
        "-n",
        seed.name.as_str(),
        "forget_cluster_node",
        member.name.as_str(),
    ];
    vec![systemctl("stop"), ctl(&forget), systemctl("start")]
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
