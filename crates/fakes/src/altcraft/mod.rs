//! The platform's two processes in memory, in a time that is set from outside.
//!
//! A process reads main.json when it starts, and only then: which host it is, whether it is the master, and on which port
//! it listens. One that misses a key logs why and ends. When it has started it logs the runbook's line. Nothing else keeps
//! two hosts from being master at the same time, which must never happen.

mod act;
mod answer;
mod main_json;
mod program;

use std::collections::BTreeSet;

use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use crate::{FakeCluster, Fault, Machine, Pace, Play};
pub use main_json::Role;
pub use program::{PROGRAMS, Program};

pub const CONFIG: &str = "/opt/akd/config/main.json";

/// What a fresh installation has.
pub const PLAIN: &str = "{\n  \"PRODUCT\": \"Altcraft\",\n  \"WORKERS\": 6\n}\n";

/// What the simulation plays. The master moves now and then.
pub const PLAY: Play = Play {
    kind: "altcraft",
    inventory: |hosts, turn| {
        let turn_of = usize::try_from(turn / 2).unwrap_or_default();
        let master = hosts
            .get(turn_of % hosts.len().max(1))
            .copied()
            .unwrap_or_default();
        format!("[services.altcraft]\nhosts = {hosts:?}\nmaster = {master:?}\nmain = {{ TURN = {turn} }}\n")
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
    /// The hosts that count; `None` for all.
    counted: Option<BTreeSet<HostName>>,
}

/// A host.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: HostName,
    pub machine: Machine,
    /// The processes that run, in the order of `PROGRAMS`.
    pub processes: [Option<Process>; 2],
    /// The lines of each program's log.
    pub logs: [Vec<String>; 2],
    pub is_up: bool,
    pub is_cut: bool,
    /// Whether both processes have served as members of a cluster: it counts from then on, until it is told to stop for
    /// good.
    has_joined: bool,
}

/// A running process.
#[derive(Debug, Clone)]
pub struct Process {
    pub role: Role,
    /// From when on it serves.
    ready_us: i64,
    /// Whether it has said so.
    has_said: bool,
}

impl Cluster {
    /// Hosts on which the platform was installed and never started.
    pub fn new(hosts: &[&str], pace: Pace) -> Self {
        let nodes = hosts.iter().map(|name| {
            let mut machine = Machine::default();
            machine.write(CONFIG, PLAIN, 0o640, "altcraft", 1);
            for program in PROGRAMS {
                machine.unit(program.unit);
            }
            Node {
                name: name.parse().unwrap_or_else(|error| panic!("{name:?}: {error}")),
                machine,
                processes: [None, None],
                logs: [Vec::new(), Vec::new()],
                is_up: true,
                is_cut: false,
                has_joined: false,
            }
        });
        Self {
            nodes: nodes.collect(),
            violations: Vec::new(),
            // main.json is older than any process, whatever the clock's tick.
            now_us: 1_000_000,
            pace,
            counted: None,
        }
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name.as_str() == name)
    }

    /// No two things happen within a tick of the clock that stamps files.
    pub fn tick(&mut self) -> i64 {
        self.now_us += 20_000;
        self.now_us
    }

    /// The hosts on which a program runs as master.
    pub fn masters(&self, program: usize) -> Vec<&HostName> {
        let masters = self.nodes.iter().filter(|node| {
            let process = node.processes[program].as_ref();
            process.is_some_and(|process| process.role.is_master)
        });
        masters.map(|node| &node.name).collect()
    }

    fn is_ready(&self, at: usize, program: usize) -> bool {
        let process = self.nodes[at].processes[program].as_ref();
        process.is_some_and(|process| process.ready_us <= self.now_us)
    }

    fn serves(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.is_up && !node.is_cut && self.is_ready(at, 0) && self.is_ready(at, 1)
    }

    /// What has started by now says so.
    pub fn settle(&mut self) {
        for at in 0..self.nodes.len() {
            for (number, program) in PROGRAMS.iter().enumerate() {
                if !self.is_ready(at, number) {
                    continue;
                }
                let node = &mut self.nodes[at];
                let pid = node.machine.unit_fact(program.unit).main_pid;
                if let Some(process) = node.processes[number]
                    .as_mut()
                    .filter(|process| !process.has_said)
                {
                    process.has_said = true;
                    node.logs[number].push(process.role.line(program.name, pid));
                }
            }
            let node = &self.nodes[at];
            let is_member =
                |process: &Option<Process>| process.as_ref().is_some_and(|process| process.role.is_clustered);
            if self.serves(at) && node.processes.iter().all(is_member) {
                self.nodes[at].has_joined = true;
            }
        }
    }
}

impl FakeCluster for Cluster {
    fn advance(&mut self, now_us: i64) {
        self.now_us = self.now_us.max(now_us);
        self.settle();
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
        // A hand-over comes to nobody: the master is whom main.json names.
        let Some(at) = trouble.host().and_then(|host| self.find(host.as_str())) else {
            return;
        };
        for (number, program) in PROGRAMS.iter().enumerate() {
            let unit = self.nodes[at].machine.unit(program.unit).clone();
            match trouble {
                Fault::Crash(_) => self.crash(at, number),
                Fault::Revive(_) if unit.has_failed && self.nodes[at].is_up => self.launch(at, number),
                Fault::Down(_) => self.halt(at, number),
                Fault::Up(_) if !self.nodes[at].is_up && unit.is_enabled => self.launch(at, number),
                _ => {}
            }
        }
        let node = &mut self.nodes[at];
        match trouble {
            Fault::Down(_) => node.is_up = false,
            Fault::Up(_) => node.is_up = true,
            Fault::Cut(_) => node.is_cut = true,
            Fault::Heal(_) => node.is_cut = false,
            _ => {}
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        let serving = (0..self.nodes.len()).filter(|&at| self.nodes[at].has_joined && self.serves(at));
        serving.map(|at| self.nodes[at].name.clone()).collect()
    }

    /// All but one: any host does the work, and one at a time may be away. One that is to leave does not count any more.
    fn needed(&self) -> usize {
        let counts = |name: &HostName| self.counted.as_ref().is_none_or(|counted| counted.contains(name));
        let members = self
            .nodes
            .iter()
            .filter(|node| node.has_joined && counts(&node.name));
        members.count().saturating_sub(1)
    }

    fn clients(&mut self, hosts: &[HostName]) {
        self.counted = Some(hosts.iter().cloned().collect());
    }

    /// The platform keeps nothing of its own: no write is promised to be kept.
    fn write(&mut self, _value: u64) -> bool {
        false
    }

    fn has_value(&self, _value: u64) -> bool {
        true
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}
