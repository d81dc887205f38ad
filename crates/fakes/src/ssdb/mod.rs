//! SSDB mirrors in memory: what the real server does (see the stand-in), in a time that is told from outside.
//!
//! A mirror passes on what clients write and nothing that it got from another mirror, remembers a position for each
//! master, tries a lost master again every 5 s, and is out of sync where its position is not in the master's binlog. Of a
//! master whose host fell silent it hears nothing and says SYNC, until `recv_timeout` has passed (seen as a link that says
//! SYNC while nothing flows).

mod act;
mod answer;
mod flow;
mod life;
mod server;

use std::collections::BTreeSet;

use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use crate::{FakeCluster, Fault, Machine, Pace, Play};
pub use server::{Disk, Process};

/// The reference of our password, as the agent shows it.
pub const OURS: &str = "⟪secret:file:pw⟫";
pub const CONFIG: &str = "/usr/local/ssdb/ssdb-sessions.conf";
pub const DIR: &str = "/usr/local/ssdb/var-sessions";
pub const UNIT: &str = "ssdb-sessions.service";

/// What the simulation plays.
pub const PLAY: Play = Play {
    kind: "ssdb",
    inventory: |hosts, turn| {
        format!(
            "[services.sessions]\nkind = \"ssdb\"\nhosts = {hosts:?}\npassword = {{ file = \"pw\" }}\ncapacity = {}\n",
            1_000_000 + turn
        )
    },
    number: None,
    world: |hosts, pace| Box::new(Cluster::new(hosts, pace)),
};

/// All hosts.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub violations: Vec<String>,
    now_us: i64,
    pace: Pace,
    /// The members that clients write to; `None` for all.
    clients: Option<BTreeSet<HostName>>,
}

/// A host.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that is so or not on a host"
)]
pub struct Node {
    pub name: HostName,
    pub address: String,
    pub machine: Machine,
    pub process: Option<Process>,
    /// What stands in the directory; `None` before the server ran there.
    pub disk: Option<Disk>,
    /// Directories that were moved away, with their paths.
    pub aside: Vec<(String, Disk)>,
    pub is_up: bool,
    pub is_cut: bool,
    /// Whether it has been in sync with all the masters that it could reach: it counts from then on, until it is told
    /// to stop for good.
    has_joined: bool,
    /// Whether it has not caught up since its start.
    is_fresh: bool,
    /// Whether its last start was an operation's.
    is_ours: bool,
    /// The address that its connections come from, where it is not its own.
    pub comes_from: Option<String>,
    /// How many full copies it has made.
    pub copied: usize,
}

impl Cluster {
    /// Hosts with a unit and nothing else.
    pub fn new(hosts: &[&str], pace: Pace) -> Self {
        let nodes = hosts
            .iter()
            .enumerate()
            .map(|(at, name)| Node::bare(name, at + 1));
        Self {
            nodes: nodes.collect(),
            violations: Vec::new(),
            now_us: 1_000,
            pace,
            clients: None,
        }
    }

    /// The place of a host, by its name or address.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.name.as_str() == name || node.address == name)
    }

    /// No two things happen at the same moment.
    pub fn tick(&mut self) -> i64 {
        self.now_us += 20_000;
        self.now_us
    }

    /// Whether two hosts reach each other.
    fn reaches(&self, a: usize, b: usize) -> bool {
        let (a_node, b_node) = (&self.nodes[a], &self.nodes[b]);
        a_node.is_up && b_node.is_up && (a == b || !a_node.is_cut && !b_node.is_cut)
    }

    /// Whether a server answers.
    fn answers(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let is_ready = |process: &Process| process.ready_us <= self.now_us;
        node.is_up && node.process.as_ref().is_some_and(is_ready)
    }

    /// Whether clients write to a member.
    fn is_used(&self, node: &Node) -> bool {
        self.clients
            .as_ref()
            .is_none_or(|known| known.contains(&node.name))
    }

    fn serves(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let is_whole = |process: &Process| process.links.iter().all(|link| !link.lacks_data());
        node.has_joined
            && !node.is_fresh
            && !node.is_cut
            && self.answers(at)
            && node.process.as_ref().is_some_and(is_whole)
    }
}

impl Node {
    fn bare(name: &str, number: usize) -> Self {
        let mut machine = Machine::default();
        machine.unit(UNIT);
        Self {
            name: name.parse().unwrap_or_else(|error| panic!("{name:?}: {error}")),
            address: format!("10.0.0.{number}"),
            machine,
            process: None,
            disk: None,
            aside: Vec::new(),
            is_up: true,
            is_cut: false,
            has_joined: false,
            is_fresh: false,
            is_ours: false,
            comes_from: None,
            copied: 0,
        }
    }
}

impl FakeCluster for Cluster {
    fn advance(&mut self, now_us: i64) {
        while let Some(next) = self.next_due().filter(|next| *next <= now_us) {
            self.now_us = next;
            self.settle();
        }
        self.now_us = self.now_us.max(now_us);
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        let at = self.find(host.as_str())?;
        self.fact(at, query).map(Ok)
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        let at = self.find(host.as_str())?;
        let done = self.act(at, operation)?;
        self.settle();
        Some(done)
    }

    fn inject(&mut self, trouble: &Fault) {
        // A hand-over comes to nobody: nobody leads.
        let Some(at) = trouble.host().and_then(|host| self.find(host.as_str())) else {
            return;
        };
        match trouble {
            Fault::Crash(_) => self.crash(at),
            Fault::Revive(_) if self.nodes[at].machine.unit(UNIT).has_failed => self.launch(at),
            Fault::Down(_) => self.go_down(at),
            Fault::Up(_) if !self.nodes[at].is_up => {
                self.nodes[at].is_up = true;
                if self.nodes[at].machine.unit(UNIT).is_enabled {
                    self.launch(at);
                }
            }
            Fault::Cut(_) => {
                self.nodes[at].is_cut = true;
                self.fall_silent(at, false);
            }
            Fault::Heal(_) => {
                self.nodes[at].is_cut = false;
                self.speak_again(at);
            }
            _ => {}
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        let serving = (0..self.nodes.len()).filter(|&at| self.serves(at));
        serving.map(|at| self.nodes[at].name.clone()).collect()
    }

    /// All but one: each member has everything, and one may be away at a time. One that is to leave does not count any more.
    fn needed(&self) -> usize {
        let members = self
            .nodes
            .iter()
            .filter(|node| node.has_joined && self.is_used(node));
        members.count().saturating_sub(1)
    }

    fn clients(&mut self, hosts: &[HostName]) {
        self.clients = Some(hosts.iter().cloned().collect());
    }

    /// A write counts as acknowledged by the mirror that took it: it is on its disk, and the others get it from there.
    fn write(&mut self, value: u64) -> bool {
        let takes = |at: &usize| self.serves(*at) && self.is_used(&self.nodes[*at]);
        let all: Vec<usize> = (0..self.nodes.len()).filter(takes).collect();
        let turn = usize::try_from(value).unwrap_or_default();
        let Some(&at) = all.get(turn % all.len().max(1)) else {
            return false;
        };
        self.client_sets(at, &format!("v{value}"), Some("x"));
        self.settle();
        true
    }

    /// On every member, or on its way there: a running member has it as a change of a client of its own, which the
    /// lacking one will get next.
    fn has_value(&self, value: u64) -> bool {
        let key = format!("v{value}");
        let members = (0..self.nodes.len()).filter(|&at| self.nodes[at].has_joined);
        let mut members = members.peekable();
        members.peek().is_some()
            && members.all(|at| {
                let disk = self.nodes[at].disk.as_ref();
                disk.is_some_and(|disk| disk.data.contains_key(&key)) || self.will_get(at, &key)
            })
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}
