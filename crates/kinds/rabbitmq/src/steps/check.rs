//! The step `check`: partitions, alarms and members that the inventory does not name, before anything is changed.

use plan::{Level, Refusal};
use protocol::facts::{ErlangFact, SilenceKind};
use types::HostName;

use crate::observe::{Broker, Member, View, calls};
use crate::rules::membership::replaced_cluster;
use crate::settings::{NodeName, Settings, list};
use kit::{Cx, StepPlan};

/// Plans the step: it has no tasks.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    for member in view.on(cx.hosts) {
        if let Err(why) = &member.node {
            plan.refusals.push(unasked(&view, member, why));
        }
        let (host, Some(broker)) = (member.host, member.broker()) else {
            continue;
        };
        if !broker.partitions.is_empty() {
            plan.refusals.push(partitioned(host, broker));
        }
        if !broker.alarms.is_empty() {
            let text = format!("alarms are in force: {}", broker.alarms.join(", "));
            plan.note(Level::Warning, Some(host), text);
        }
        let strangers = strangers(&view, broker);
        if !strangers.is_empty() && cx.hosts.first() == Some(host) {
            let strangers = list(strangers);
            let text = format!("the cluster has members that the inventory does not name: {strangers}");
            plan.note(Level::Warning, None, text);
        }
    }
    plan.refusals.extend(replaced_at_once(&view, cx));
    plan
}

/// Its node runs, or may run, and could not be asked: it counts as in use.
fn unasked(view: &View<'_>, member: &Member<'_>, why: &str) -> Refusal {
    let (settings, host, name) = (view.settings, member.host, &member.name);
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!(
            "{} may serve, and {name} could not be asked: {why}",
            settings.unit
        ),
        "if it is starting, plan again once it answers; its node must have this name, and be known to the epmd of its host \
         on port 4369, without TLS between nodes; if it hangs, restart it by hand",
    );
    // A node that starts is silent, or tells that it does.
    let may_pass = match view.facts.get(host, &calls::node(settings, host)) {
        Ok(ErlangFact::Down(silence)) => silence.kind != SilenceKind::Foreign,
        Ok(ErlangFact::Results(_)) => true,
        Ok(ErlangFact::Denied(_)) | Err(_) => false,
    };
    let refusal = refusal.on(host);
    if may_pass { refusal.passing() } else { refusal }
}

fn partitioned(host: &HostName, broker: &Broker) -> Refusal {
    Refusal::new(
        "nothing is changed in a partitioned cluster",
        format!("{host} was partitioned from {}", list(&broker.partitions)),
        "choose the side whose messages are kept, then restart the other side's nodes one by one \
         (https://www.rabbitmq.com/docs/partitions#recovering), and plan again",
    )
}

/// Members that the inventory does not name. In a foreign cluster every member is one; the step `join` refuses that.
fn strangers<'b>(view: &View<'_>, broker: &'b Broker) -> Vec<&'b NodeName> {
    let ours = view.hosts.listed.iter();
    if ours
        .filter(|member| broker.members.contains(&member.name))
        .count()
        <= 1
    {
        return Vec::new();
    }
    let is_known = |node: &&NodeName| view.hosts.all().any(|member| member.name == **node);
    broker.members.iter().filter(|node| !is_known(node)).collect()
}

fn replaced_at_once(view: &View<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let old = replaced_cluster(view, cx);
    let names: Vec<&str> = old.into_iter().map(HostName::as_str).collect();
    (!names.is_empty()).then(|| {
        Refusal::new(
            "no cluster is formed",
            format!("{} have one, and no host of the service is in it", names.join(", ")),
            "list one of them too until the new members have joined it; or stop their brokers, if that cluster does not \
             belong to this service",
        )
    })
}
