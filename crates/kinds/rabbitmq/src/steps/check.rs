//! What must be known before anything is touched: partitions, alarms, members that the inventory does not name.

use std::collections::BTreeSet;

use plan::{Level, Refusal};
use types::HostName;

use crate::observe::view::{self, Broker, Node};
use crate::settings::Settings;
use kit::{Cx, StepPlan};

pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let ours: BTreeSet<String> = settings.hosts.iter().map(Settings::node).collect();
    for host in cx.hosts {
        let Ok(Node::Up(broker)) = view::node(settings, host, cx.facts) else {
            continue;
        };
        let Broker {
            partitions,
            alarms,
            members,
            ..
        } = *broker;
        if !partitions.is_empty() {
            let cut: Vec<&str> = partitions.iter().map(String::as_str).collect();
            plan.refusals.push(Refusal {
                service: None,
                host: None,
                what: "nothing is changed in a partitioned cluster".to_owned(),
                why: format!("{host} was partitioned from {}", cut.join(", ")),
                way_out:
                    "choose the side whose messages are kept, then restart the other side's nodes one by one \
                          (https://www.rabbitmq.com/docs/partitions#recovering), and plan again"
                        .to_owned(),
                consent: None,
            });
        }
        if !alarms.is_empty() {
            plan.note(
                Level::Warning,
                Some(host),
                format!("alarms are in force: {}", alarms.join(", ")),
            );
        }
        // In a foreign cluster every member is a stranger; joining has its own words for that.
        let leaving: BTreeSet<String> = settings.others.iter().map(Settings::node).collect();
        let strangers = members.difference(&ours).filter(|node| !leaving.contains(*node));
        let strangers: Vec<&str> = strangers.map(String::as_str).collect();
        if !strangers.is_empty() && members.intersection(&ours).count() > 1 && host == &cx.hosts[0] {
            plan.note(
                Level::Warning,
                None,
                format!(
                    "the cluster has members that the inventory does not name: {}",
                    strangers.join(", ")
                ),
            );
        }
    }
    plan.refusals.extend(replaced_at_once(settings, cx));
    plan
}

/// No member of the inventory is in a cluster, and hosts that no service lists any more are in one: newcomers would begin
/// another, and what the old one holds would not be in it.
fn replaced_at_once(settings: &Settings, cx: &Cx<'_>) -> Option<Refusal> {
    let is_clustered = |host: &&HostName| {
        let node = view::node(settings, host, cx.facts);
        let members = match node {
            Ok(Node::Up(broker)) => broker.members,
            Ok(Node::Halted(members) | Node::Off(Some(members))) => members,
            Ok(Node::Off(None) | Node::OtherCookie) | Err(_) => BTreeSet::new(),
        };
        members.len() > 1
    };
    if settings.hosts.iter().any(|host| is_clustered(&host)) {
        return None;
    }
    let others = cx.others.iter().filter(is_clustered);
    let old = others.filter(|host| matches!(view::node(settings, host, cx.facts), Ok(Node::Up(_))));
    let old: Vec<&str> = old.map(HostName::as_str).collect();
    (!old.is_empty()).then(|| Refusal {
        service: None,
        host: None,
        what: "no cluster is begun".to_owned(),
        why: format!("{} have one, and no host of the service is in it", old.join(", ")),
        way_out: "list one of them too until the newcomers have joined it; or stop their brokers, if that cluster is \
                  none of this service"
            .to_owned(),
        consent: None,
    })
}
