//! All hosts and their clusters.

use std::collections::{BTreeMap, BTreeSet};

use types::HostName;

use super::cluster::Cluster;
use super::node::{Node, Process, UNIT, members_path, name_of};
use crate::{Machine, Pace};

/// All hosts.
#[derive(Debug, Clone)]
pub struct Hosts {
    pub(super) nodes: BTreeMap<HostName, Node>,
    pub(super) clusters: BTreeMap<usize, Cluster>,
    pub(super) now_us: i64,
    pub(super) pace: Pace,
    pub(super) violations: Vec<String>,
    /// The nodes that clients know, where they were told.
    pub(super) known: Option<BTreeSet<String>>,
}

impl Hosts {
    /// Hosts without the package.
    pub fn new(names: &[&str], pace: Pace) -> Self {
        let names = names.iter().filter_map(|name| name.parse().ok());
        Self {
            nodes: names.map(|name| (name, Node::new())).collect(),
            clusters: BTreeMap::new(),
            now_us: 1_000_000,
            pace,
            violations: Vec::new(),
            known: None,
        }
    }

    /// Whether a host's unit runs.
    pub fn runs(&self, host: &str) -> bool {
        host.parse()
            .is_ok_and(|host: HostName| self.nodes[&host].machine.runs(UNIT))
    }

    /// The files, units and packages of a host.
    pub fn machine_mut(&mut self, host: &HostName) -> &mut Machine {
        &mut self.node_mut(host).machine
    }

    /// Whether a host's unit starts at boot.
    pub fn is_enabled(&self, host: &str) -> bool {
        let unit = |host: HostName| {
            self.nodes[&host]
                .machine
                .units
                .get(UNIT)
                .is_some_and(|unit| unit.is_enabled)
        };
        host.parse().is_ok_and(unit)
    }

    /// A host's node is stopped and its database deleted, as where the host was built again.
    pub fn rebuild(&mut self, host: &str) {
        let Some(host) = host.parse().ok().filter(|host| self.nodes.contains_key(host)) else {
            return;
        };
        self.stop(&host);
        let name = name_of(&host);
        let node = self.node_mut(&host);
        node.machine.files.remove(&members_path(&host));
        node.view.clear();
        node.awaits.clear();
        let cluster = node.cluster.take();
        let cluster = cluster.and_then(|id| self.clusters.get_mut(&id));
        for queue in cluster
            .into_iter()
            .flat_map(|cluster| cluster.queues.values_mut())
        {
            queue.lose_copy(&name);
        }
    }

    /// Things take another time from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The largest cluster: that of the service.
    pub(super) fn main(&self) -> Option<usize> {
        let largest = self
            .clusters
            .iter()
            .max_by_key(|(_, cluster)| cluster.members.len());
        largest
            .filter(|(_, cluster)| cluster.members.len() > 1)
            .map(|(id, _)| *id)
    }

    pub(super) fn host_of(&self, node: &str) -> Option<HostName> {
        self.nodes.keys().find(|host| name_of(host) == node).cloned()
    }

    /// Whether the virtual machines of two hosts can talk to each other.
    pub(super) fn sees(&self, from: &HostName, to: &HostName) -> bool {
        let (a, b) = (&self.nodes[from], &self.nodes[to]);
        let is_open = from == to || !(a.is_cut || b.is_cut);
        is_open && a.is_alive() && b.is_alive() && a.cookie == b.cookie
    }

    /// The members of a host's cluster whose broker runs, as it sees them.
    pub(super) fn running(&self, host: &HostName) -> BTreeSet<String> {
        let cluster = self.nodes[host].cluster;
        let is_running = |other: &&HostName| {
            let node = &self.nodes[*other];
            node.cluster == cluster
                && cluster.is_some()
                && node.process == Process::Up
                && self.sees(host, other)
        };
        self.nodes.keys().filter(is_running).map(name_of).collect()
    }

    /// The running members of a cluster; where they cannot all see each other, the largest part.
    pub(super) fn serving_in(&self, cluster: usize) -> BTreeSet<String> {
        let members = self
            .nodes
            .iter()
            .filter(|(_, node)| node.cluster == Some(cluster));
        let up = members.filter(|(_, node)| node.process == Process::Up);
        let parts = up.map(|(host, _)| self.running(host));
        parts.max_by_key(BTreeSet::len).unwrap_or_default()
    }

    pub(super) fn cluster(&self, host: &HostName) -> Option<&Cluster> {
        self.clusters.get(&self.nodes[host].cluster?)
    }

    pub(super) fn cluster_mut(&mut self, host: &HostName) -> Option<&mut Cluster> {
        self.clusters.get_mut(&self.nodes[host].cluster?)
    }

    pub(super) fn node_mut(&mut self, host: &HostName) -> &mut Node {
        self.nodes.entry(host.clone()).or_insert_with(Node::new)
    }
}
