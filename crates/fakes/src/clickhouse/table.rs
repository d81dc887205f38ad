//! The client's table: a replica on each server, and what is inserted.
//!
//! The client makes its table on every server of the cluster, once, and inserts with `insert_quorum`: an insert is
//! acknowledged once a majority of the replicas that are registered have it; the others fetch it when they can
//! (<https://clickhouse.com/docs/operations/settings/settings#insert_quorum>).

use protocol::ActionError;

use super::cluster::{Cluster, failed};
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

    /// Registered replicas whose server has its session.
    pub fn active(&self) -> usize {
        let is_active = |node: &&Node| {
            let is_registered = self.agreed.registered.contains(node.name());
            node.table.is_some() && is_registered && self.has_session(node)
        };
        self.nodes.iter().filter(is_active).count()
    }

    /// A client makes its table on the whole cluster, once: a replica that joins does not get it by itself.
    fn make_tables(&mut self, initiator: usize) {
        if self.nodes.iter().any(|node| node.table.is_some()) {
            return;
        }
        for (name, _) in self.nodes[initiator].cluster().to_vec() {
            if let Some(at) = self.at(&name).filter(|&at| self.are_linked(initiator, at)) {
                let _ = self.make_table(at);
            }
        }
    }

    /// Makes the table on a server; one that is registered under its name already is in the way.
    pub(super) fn make_table(&mut self, at: usize) -> Result<(), ActionError> {
        let node = &self.nodes[at];
        let name = node.name().to_owned();
        if node.table.is_some() {
            return Ok(());
        }
        if !self.has_session(node) || node.macros().is_empty() {
            return Err(failed(
                "Code: 999, e.displayText() = Coordination::Exception: Session expired",
            ));
        }
        if self.agreed.registered.contains(&name) {
            return Err(failed(format!(
                "Code: 253, e.displayText() = DB::Exception: Replica /clickhouse/tables/01/{TABLE}/replicas/{name} already exists."
            )));
        }
        let registers = |tree: &mut Tree| {
            tree.registered.insert(name);
        };
        if !self.commit(registers) {
            return Err(failed(
                "Code: 999, e.displayText() = Coordination::Exception: Connection loss",
            ));
        }
        self.nodes[at].table = Some(std::collections::BTreeSet::new());
        if !self.agreed.parts.is_empty() {
            self.nodes[at].fetches_from = self.now + self.pace.copy_us;
        }
        Ok(())
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
