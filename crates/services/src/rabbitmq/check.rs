//! What must be known before anything is touched: partitions, alarms, members that the inventory does not name.

use std::collections::BTreeSet;

use plan::{Level, Refusal};

use super::settings::Settings;
use super::view::{self, Broker, Node};
use crate::step::{Cx, StepPlan};

pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
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
        let strangers: Vec<&str> = members.difference(&ours).map(String::as_str).collect();
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
    plan
}
