//! The client's table: a replica on each server, and what is inserted.
//!
//! The client makes its table on every server of the cluster that has none, and inserts with `insert_quorum`: an insert is
//! acknowledged once a majority of the replicas that are registered have it; the others fetch it when they can
//! (<https://clickhouse.com/docs/operations/settings/settings#insert_quorum>).

use super::cluster::Cluster;
use super::node::{Node, Tree};
use super::paths::TABLE;

impl Cluster {
    /// Whether a server reaches the quorum: one of those that its file names serves.
    pub fn has_session(&self, node: &Node) -> bool {
        let Some(at) = self.at(node.name()) else {
            return false;
        };
        let serves = |name: &String| {
            self.at(name)
                .is_some_and(|other| self.nodes[other].role.serves() && self.are_linked(at, other))
        };
        node.answers() && !node.has_lost_session && node.coordinators().iter().any(serves)
    }

    /// The common state as a server sees it.
    pub fn tree_of(&self, node: &Node) -> Option<&Tree> {
        let serving = node.coordinators().iter().filter_map(|name| self.at(name));
        let mut serving = serving.filter(|&at| self.nodes[at].role.serves());
        serving.next().map(|at| &self.nodes[at].tree)
    }

    /// Replicas whose server has its session.
    pub fn active(&self) -> usize {
        let is_active = |node: &&Node| node.table.is_some() && self.has_session(node);
        self.nodes.iter().filter(is_active).count()
    }

    /// A client makes its table where it is missing; one that is registered under the name already is in the way (253).
    fn make_tables(&mut self, initiator: usize) {
        for (name, _) in self.nodes[initiator].cluster().to_vec() {
            let Some(at) = self.at(&name) else { continue };
            let node = &self.nodes[at];
            let is_ready =
                self.has_session(node) && self.are_linked(initiator, at) && !node.macros().is_empty();
            if node.table.is_some() || !is_ready || self.agreed.registered.contains(&name) {
                continue;
            }
            if self.commit(|tree| {
                tree.registered.insert(name);
            }) {
                self.nodes[at].table = Some(std::collections::BTreeSet::new());
            }
        }
    }

    pub fn insert(&mut self, value: u64) -> bool {
        let is_told = |node: &Node| self.clients.is_empty() || self.clients.contains(&node.host);
        let writes = |&at: &usize| {
            is_told(&self.nodes[at]) && self.nodes[at].knows_cluster() && self.has_session(&self.nodes[at])
        };
        let Some(initiator) = (0..self.nodes.len()).find(writes) else {
            return false;
        };
        self.make_tables(initiator);
        let now = self.now;
        let is_agreed = self.nodes[initiator].table.is_some()
            && self.commit(|tree| {
                tree.parts.insert(value, now);
            });
        if !is_agreed {
            return false;
        }
        if let Some(table) = &mut self.nodes[initiator].table {
            table.insert(value);
        }
        self.catch_up();
        let registered = &self.agreed.registered;
        let has = |node: &&Node| registered.contains(node.name()) && node.parts().any(|part| part == value);
        self.nodes.iter().filter(has).count() * 2 > registered.len()
    }

    /// Replicas fetch from each other what they miss; statements that waited for a server are carried out.
    pub fn catch_up(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let is_active = node.table.is_some() && self.has_session(node) && node.fetches_from <= self.now;
            for part in self.missing(node).into_iter().filter(|_| is_active) {
                let sources = |other: &usize| {
                    let source = &self.nodes[*other];
                    source.answers()
                        && self.are_linked(at, *other)
                        && source.parts().any(|known| known == part)
                };
                let is_found = (0..self.nodes.len()).any(|other| sources(&other));
                if let Some(table) = self.nodes[at].table.as_mut().filter(|_| is_found) {
                    table.insert(part);
                }
            }
        }
        self.carry_out();
    }

    /// The rows that a replica has not fetched yet.
    pub fn missing(&self, node: &Node) -> Vec<u64> {
        let Some(table) = &node.table else {
            return Vec::new();
        };
        let parts = self.tree_of(node).into_iter().flat_map(|tree| tree.parts.keys());
        parts.filter(|part| !table.contains(part)).copied().collect()
    }

    /// A replica's row of `system.replicas`.
    pub fn row(&self, node: &Node) -> String {
        let missing = self.missing(node);
        let registered = self.tree_of(node).map_or(0, |tree| tree.registered.len());
        let oldest = missing
            .iter()
            .filter_map(|part| self.agreed.parts.get(part))
            .min();
        let behind = oldest.map_or(0, |since| (self.now - since) / 1_000_000);
        let delay = node.delay + u64::try_from(behind).unwrap_or(0);
        format!(
            "default\t{TABLE}\t{}\t0\t{registered}\t{}\t{delay}\t{}\t/clickhouse/tables/01/{TABLE}\t{}\n",
            i32::from(!self.has_session(node)),
            self.active(),
            missing.len(),
            node.name()
        )
    }
}
