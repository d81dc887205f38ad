//! Clients: they make queues, and publish to them.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Copy, Queue};
use super::hosts::Hosts;

impl Hosts {
    /// A client makes the queues that it uses, and publishes to both; whether the quorum queue confirmed.
    pub(super) fn publish(&mut self, value: u64) -> bool {
        let Some(id) = self.main() else { return false };
        let serving = self.serving_in(id);
        if self
            .known
            .as_ref()
            .is_some_and(|known| known.is_disjoint(&serving))
        {
            return false;
        }
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return false;
        };
        if cluster.members.len() < 3 || serving.len() * 2 <= cluster.members.len() {
            return false;
        }
        let name = |queue: &str| ("/".to_owned(), queue.to_owned());
        if !cluster.queues.contains_key(&name("orders")) {
            // A queue that is made while members are away is small for ever; this client waits for all.
            if serving != cluster.members {
                return false;
            }
            self.declare_quorum("orders", &serving);
            self.declare_classic("mail", &serving);
            self.settle();
        }
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return false;
        };
        if let Some(mail) = cluster.queues.get_mut(&name("mail")) {
            mail.publish(value, &serving);
        }
        let orders = cluster.queues.get_mut(&name("orders"));
        orders.is_some_and(|orders| orders.publish(value, &serving))
    }

    /// A quorum queue in `/` with members on these nodes.
    pub fn declare_quorum(&mut self, queue: &str, on: &BTreeSet<String>) {
        let members = on
            .iter()
            .map(|node| (node.clone(), Copy::whole(Vec::new())))
            .collect();
        let queue = (
            queue.to_owned(),
            Queue::Quorum {
                members,
                leader: on.first().cloned(),
                elect_us: None,
            },
        );
        self.declare(queue);
    }

    /// A classic queue in `/` that is led by the first of these nodes.
    pub fn declare_classic(&mut self, queue: &str, on: &BTreeSet<String>) {
        let queue = (
            queue.to_owned(),
            Queue::Classic {
                leader: on.first().cloned().unwrap_or_default(),
                log: Vec::new(),
                mirrors: BTreeMap::new(),
            },
        );
        self.declare(queue);
    }

    fn declare(&mut self, (name, queue): (String, Queue)) {
        let id = self.main().or_else(|| self.clusters.keys().last().copied());
        let Some(id) = id else { return };
        if let Some(cluster) = self.clusters.get_mut(&id) {
            cluster.queues.insert(("/".to_owned(), name), queue);
        }
        self.mirror(id);
    }
}
