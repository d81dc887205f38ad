//! All hosts of a cluster, and what follows from their state.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ActionError;
use types::HostName;

use super::node::{Node, Tree};
use crate::Pace;

/// All hosts of the cluster.
#[derive(Clone)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub version: &'static str,
    pub pace: Pace,
    pub now: i64,
    /// Statements on the whole cluster that some hosts have not carried out yet.
    pub(super) ddl: Vec<Ddl>,
    /// The state that a majority has agreed upon.
    pub(super) agreed: Tree,
    /// The members as the last leader had them.
    pub(super) members: Vec<(u32, String)>,
    /// Whether a majority was ever available: until then nothing can be lost.
    pub(super) is_formed: bool,
    /// The members that were ever available.
    pub(super) joined: BTreeSet<HostName>,
    /// The owner of each number, since the first process ran with it.
    pub(super) numbers: BTreeMap<u32, String>,
    /// The hosts that the client connects to; any where it was told nothing.
    pub(super) clients: Vec<HostName>,
    pub(super) violations: Vec<String>,
}

impl Cluster {
    /// Hosts without packages.
    pub fn new(names: &[&str], version: &'static str) -> Self {
        Self::with_pace(names, version, Pace::default())
    }

    pub(super) fn with_pace(names: &[&str], version: &'static str, pace: Pace) -> Self {
        Self {
            nodes: names.iter().filter_map(|name| Node::new(name)).collect(),
            version,
            pace,
            now: 1_000,
            ddl: Vec::new(),
            agreed: Tree::default(),
            members: Vec::new(),
            is_formed: false,
            joined: BTreeSet::new(),
            numbers: BTreeMap::new(),
            clients: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub(super) fn at(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// A host that is there and runs.
    pub(super) fn reached(&self, host: &HostName) -> Result<usize, String> {
        match self.at(host.as_str()) {
            Some(at) if self.nodes[at].is_up => Ok(at),
            _ => Err(format!("{host} cannot be reached")),
        }
    }

    /// The next moment at which something happens by itself.
    pub(super) fn next_due(&self) -> Option<i64> {
        let dues = self.nodes.iter().flat_map(|node| self.dues(node));
        dues.filter(|&due| due > self.now).min()
    }

    fn dues(&self, node: &Node) -> Vec<i64> {
        let mut dues = vec![node.fetches_from];
        dues.extend(node.server.as_ref().map(|process| process.ready_us));
        dues.extend(node.zookeeper.as_ref().map(|process| process.ready_us));
        dues.extend(node.role.due(self.pace));
        dues
    }

    /// Everything that follows from what is, without time going on.
    pub fn settle(&mut self) {
        self.come_up();
        self.agree();
        self.die_without_quorum();
        self.catch_up();
        let whole = self.serving_hosts();
        self.is_formed |= !self.members.is_empty() && whole.len() * 2 > self.members.len();
        self.joined.extend(whole);
    }

    /// The majority of members that have answered clients ever: a newcomer votes before its server is a part of the cluster.
    pub(super) fn majority(&self) -> usize {
        let is_expected = |name: &String| self.joined.iter().any(|host| host.as_str() == name);
        self.members.iter().filter(|(_, name)| is_expected(name)).count() / 2 + 1
    }

    /// The hosts that serve.
    pub(super) fn serving_hosts(&self) -> BTreeSet<HostName> {
        let serving = self.nodes.iter().filter(|node| self.is_serving(node));
        serving.map(|node| node.host.clone()).collect()
    }

    pub(super) fn is_serving(&self, node: &Node) -> bool {
        node.knows_cluster() && self.counts(node)
    }

    pub(super) fn report(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }
}

/// A statement on the whole cluster.
#[derive(Debug, Clone)]
pub(super) struct Ddl {
    /// Whether the check's table is made, or dropped.
    pub(super) creates: bool,
    /// The hosts that have not done so yet.
    pub(super) left: BTreeSet<String>,
}

pub(super) fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

/// Something that the kind says and this fake has never heard of: a defect of one of the two.
#[expect(clippy::panic, reason = "no fake answers what it does not know")]
pub(super) fn unheard(what: &str) -> ! {
    panic!("nobody knows {what}")
}
