//! ClickHouse in memory, with Keeper or ZooKeeper: it answers the agent's queries and obeys its operations as the real
//! servers do where the kind relies on it, and dies where they die.
//!
//! What is kept in common, replicas and what was inserted, is a tree that every member of the quorum has a copy of; a change
//! of it counts when the leader and a majority have it. A member reads who the others are at its start (`ZooKeeper`), or has
//! it from the tree (Keeper), so that a change of members that is not made one by one splits this quorum as it would a
//! real one.

mod node;
mod play;
mod quorum;
mod sql;
mod table;
mod units;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use protocol::facts::{CandidateFact, PackageFact};
use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use crate::{Fault, Pace};

pub use node::{Node, Tree};
pub use play::{DEBIAN, MODERN};
pub use play::{KEEPER, ZOOKEEPER};
pub use quorum::Place;
use sql::Ddl;

pub const CONFIG: &str = "/etc/clickhouse-server/config.xml";
pub const CONFIG_D: &str = "/etc/clickhouse-server/config.d";
pub const USERS_D: &str = "/etc/clickhouse-server/users.d";
pub const ZOO_CFG: &str = "/etc/zookeeper/conf/zoo.cfg";
pub const MYID: &str = "/etc/zookeeper/conf/myid";
pub const USERS: &str = "/etc/clickhouse-server/users.d/altcraft.xml";
pub const ENVIRONMENT: &str = "/etc/default/zookeeper";
/// There once a ZooKeeper has taken part in an election.
pub const EPOCH: &str = "/var/lib/zookeeper/version-2/currentEpoch";
/// There once a Keeper has run.
pub const KEEPER_LOG: &str = "/var/lib/clickhouse/coordination/log";
/// The server's unit.
pub const SERVER: &str = "clickhouse-server.service";
/// ZooKeeper's unit.
pub const ZK: &str = "zookeeper.service";
/// The client's table.
pub const TABLE: &str = "events";
/// Where the files of the two packages are.
const OURS: [&str; 5] = [
    "/etc/clickhouse-server",
    "/var/lib/clickhouse",
    "/etc/zookeeper",
    "/var/lib/zookeeper",
    "/etc/default/zookeeper",
];

/// All hosts of the cluster.
#[derive(Clone)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub version: &'static str,
    pub pace: Pace,
    pub now: i64,
    /// Statements on the whole cluster that some hosts have not carried out yet.
    ddl: Vec<Ddl>,
    /// What a majority has agreed upon.
    agreed: Tree,
    /// The members as the last leader had them.
    members: Vec<(u32, String)>,
    /// Whether most of them served ever: until then nothing can be lost.
    is_formed: bool,
    /// Those that served ever.
    joined: BTreeSet<HostName>,
    /// Whose each number is, since the first process ran with it.
    numbers: BTreeMap<u32, String>,
    /// Whom the client turns to; anybody where it was told nothing.
    clients: Vec<HostName>,
    violations: Vec<String>,
}

impl Cluster {
    /// Hosts without packages.
    pub fn new(names: &[&str], version: &'static str) -> Self {
        Self::with_pace(names, version, Pace::default())
    }

    fn with_pace(names: &[&str], version: &'static str, pace: Pace) -> Self {
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

    fn at(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// A host that is there and runs.
    fn reached(&self, host: &HostName) -> Result<usize, String> {
        match self.at(host.as_str()) {
            Some(at) if self.nodes[at].is_up => Ok(at),
            _ => Err(format!("{host} cannot be reached")),
        }
    }

    /// The next moment at which something happens by itself.
    fn next_due(&self) -> Option<i64> {
        let dues = self.nodes.iter().flat_map(|node| self.dues(node));
        dues.filter(|&due| due > self.now).min()
    }

    fn dues(&self, node: &Node) -> Vec<i64> {
        let mut dues = vec![node.fetches_from];
        dues.extend(node.server.as_ref().map(|process| process.ready_us));
        dues.extend(node.zookeeper.as_ref().map(|process| process.ready_us));
        dues.extend(node.place.due(self.pace));
        dues
    }

    /// Everything that follows from what is, without time going on.
    pub fn settle(&mut self) {
        self.come_up();
        self.agree();
        self.die_without_quorum();
        self.catch_up();
        let whole: Vec<HostName> = crate::FakeCluster::serving(self).into_iter().collect();
        self.is_formed |= !self.members.is_empty() && whole.len() * 2 > self.members.len();
        self.joined.extend(whole);
    }

    /// The majority of members that have answered clients ever: a newcomer votes before its server is a part of the cluster.
    fn majority(&self) -> usize {
        let is_expected = |name: &String| self.joined.iter().any(|host| host.as_str() == name);
        self.members.iter().filter(|(_, name)| is_expected(name)).count() / 2 + 1
    }

    fn is_serving(&self, node: &Node) -> bool {
        node.knows_cluster() && self.counts(node)
    }

    fn wrong(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }
}

fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

/// Something that the kind says and this world has never heard of: a defect of one of the two.
#[expect(clippy::panic, reason = "no world answers what it does not know")]
fn unheard(what: &str) -> ! {
    panic!("nobody knows {what}")
}

impl crate::FakeCluster for Cluster {
    fn advance(&mut self, now_us: i64) {
        while let Some(due) = self.next_due().filter(|&due| due <= now_us) {
            self.now = due;
            self.settle();
        }
        self.now = self.now.max(now_us);
        self.settle();
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        let is_ours = match query {
            FactQuery::File(query) => OURS.iter().any(|ours| query.path.starts_with(ours)),
            FactQuery::Package(query) => units::PACKAGES.contains(&query.name.as_str()),
            FactQuery::Candidate(query) => query.unless == CONFIG,
            FactQuery::Unit(query) => [SERVER, ZK].contains(&query.name.as_str()),
            FactQuery::Http(query) => query.at.port == sql::PORT,
            FactQuery::Words(query) => words::PORTS.contains(&query.port),
            _ => false,
        };
        if !is_ours {
            return None;
        }
        let at = match self.reached(host) {
            Ok(at) => at,
            Err(message) => return Some(Err(FactError { message })),
        };
        let node = &self.nodes[at];
        Some(Ok(match query {
            FactQuery::File(query) => Fact::File(node.machine.file_fact(query)),
            FactQuery::Package(query) => Fact::Package(PackageFact {
                version: node
                    .machine
                    .packages
                    .contains(&query.name)
                    .then(|| self.version.to_owned()),
            }),
            FactQuery::Candidate(query) => {
                let is_there = node.machine.files.contains_key(&query.unless);
                let version = (!is_there).then(|| self.version.to_owned());
                Fact::Candidate(CandidateFact { version })
            }
            FactQuery::Unit(query) => Fact::Unit(node.machine.unit_fact(&query.name)),
            FactQuery::Http(query) => Fact::Http(self.http(at, query)),
            FactQuery::Words(query) => Fact::Words(self.words(at, query)),
            other => unheard(&format!("{other:?}")),
        }))
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        let is_ours = match operation {
            Operation::WriteFile { path, .. }
            | Operation::MakeDirectory { path, .. }
            | Operation::SetAccess { path, .. } => OURS.iter().any(|ours| path.starts_with(ours)),
            Operation::Unit { name, .. } => [SERVER, ZK].contains(&name.as_str()),
            Operation::InstallPackages { names } => {
                names.iter().any(|name| units::PACKAGES.contains(&name.as_str()))
            }
            Operation::Http { at, .. } => at.port == sql::PORT,
            _ => false,
        };
        if !is_ours {
            return None;
        }
        let at = match self.reached(host) {
            Ok(at) => at,
            Err(message) => return Some(Err(failed(message))),
        };
        let done = match operation {
            Operation::InstallPackages { names } => {
                self.install(at, names);
                Ok(())
            }
            Operation::Unit { name, verbs } => verbs.iter().try_for_each(|verb| self.tell(at, name, *verb)),
            Operation::Http {
                at: endpoint,
                requests,
            } => requests
                .iter()
                .try_for_each(|request| self.execute(at, endpoint, request)),
            other => {
                let now = self.now;
                let put = self.nodes[at].machine.put(other, now);
                put.unwrap_or_else(|| unheard(&format!("{other:?}")))
            }
        };
        self.settle();
        Some(done)
    }

    fn inject(&mut self, trouble: &Fault) {
        match trouble {
            Fault::Crash(host) => self.crash(host),
            Fault::Revive(host) => self.revive(host),
            Fault::Down(host) => self.go_down(host),
            Fault::Up(host) => self.boot(host),
            Fault::Cut(host) | Fault::Heal(host) => {
                if let Some(at) = self.at(host.as_str()) {
                    self.nodes[at].is_cut = matches!(trouble, Fault::Cut(_));
                }
            }
            Fault::Handover => self.hand_over(),
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        let serving = self.nodes.iter().filter(|node| self.is_serving(node));
        serving.map(|node| node.host.clone()).collect()
    }

    fn needed(&self) -> usize {
        // A member of the quorum does its part without the server beside it: replicas do not vote.
        let votes =
            |node: &&Node| self.joined.contains(&node.host) && self.counts(node) && !self.is_serving(node);
        let silent = self.nodes.iter().filter(votes).count();
        if self.is_formed {
            self.majority().saturating_sub(silent).max(1)
        } else {
            0
        }
    }

    fn clients(&mut self, hosts: &[HostName]) {
        self.clients = hosts.to_vec();
    }

    fn write(&mut self, value: u64) -> bool {
        self.insert(value)
    }

    fn has_value(&self, value: u64) -> bool {
        let is_read = |node: &Node| node.answers() && node.parts().any(|part| part == value);
        self.nodes.iter().any(is_read)
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}
