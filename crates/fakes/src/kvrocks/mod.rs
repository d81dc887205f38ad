//! Replicated stores behind Sentinel that exist in memory: they answer the agent's queries and obey its actions, as the
//! real servers do where the kind relies on it. So a test can carry a plan out, stop it anywhere, and plan again, and the
//! simulation can do so with troubles at every moment.
//!
//! What the servers do by themselves stands in [`time`]: replicas follow, sentinels hear of each other, elect, and turn
//! back whoever takes itself for a master. What comes of an operation of ours that must never come of one stands in
//! [`violations`]. Simplified is this: a copy takes the same time whether it is a whole one or a part; hosts that go down
//! lose nothing that their engine had written; and Sentinel's pause after a failover that failed is left out.

mod answers;
mod client;
mod connected;
mod connected_client;
mod elect;
mod operations;
mod process;
mod sentinel;
mod server;
mod time;
mod violations;

use std::collections::{BTreeMap, BTreeSet};

use types::HostName;

use crate::{FakeCluster, Machine, Pace, Play};
use formats::engine::Engine;

pub use connected_client::ConnectedClient;
pub use sentinel::Sentinel;
pub use server::OPEN_USER;
pub use server::Server;

/// Kvrocks, which the operator installed, with Debian's sentinels.
pub const KVROCKS: Play = Play {
    kind: "kvrocks",
    inventory: |hosts, turn| inventory("kvrocks", "package = \"none\"\n", "", hosts, turn),
    number: Some("tcp-backlog = "),
    world: |hosts, pace| play(Engine::Kvrocks, hosts, pace),
};

/// Redis, all of it from packages.
pub const REDIS: Play = Play {
    kind: "kvrocks",
    inventory: |hosts, turn| inventory("redis", "", "appendonly = true, ", hosts, turn),
    number: Some("tcp-backlog = "),
    world: |hosts, pace| play(Engine::Redis, hosts, pace),
};

fn inventory(engine: &str, more: &str, directives: &str, hosts: &[&str], turn: u32) -> String {
    let backlog = 512 + turn;
    format!(
        "[services.{engine}]\nkind = \"kvrocks\"\nengine = \"{engine}\"\nhosts = {hosts:?}\n\
         password = {{ file = \"{engine}.password\" }}\n{more}directives = {{ {directives}tcp-backlog = {backlog} }}\n"
    )
}

fn play(engine: Engine, hosts: &[&str], pace: Pace) -> Box<dyn FakeCluster> {
    let mut cluster = Cluster::new(engine, hosts, pace.into());
    if engine == Engine::Kvrocks {
        for name in hosts {
            cluster.install_engine(name, false);
        }
    }
    Box::new(cluster)
}

/// How long things take, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tempo {
    /// From the start of a process until it answers.
    pub start: i64,
    /// From a replica's finding its master until it has caught up.
    pub copy: i64,
    /// Until a sentinel that starts is heard by the others: Sentinel says hello every 2 s.
    pub hello: i64,
    /// Until a sentinel knows what an engine's INFO says, and acts on it: some 10 s (seen).
    pub info: i64,
    /// Until something that does not answer counts as down: `down-after-milliseconds`, 30 s by default.
    pub down: i64,
    /// From the loss of a master until there is another.
    pub elect: i64,
}

impl From<Pace> for Tempo {
    fn from(pace: Pace) -> Self {
        Self {
            start: pace.start_us,
            copy: pace.copy_us,
            hello: pace.elect_us / 10,
            info: pace.elect_us / 4,
            down: pace.elect_us - pace.elect_us / 4,
            elect: pace.elect_us,
        }
    }
}

/// All hosts of a store.
#[derive(Clone)]
pub struct Cluster {
    pub engine: Engine,
    pub nodes: Vec<Node>,
    /// The time, in microseconds; each change takes one.
    pub now: i64,
    pub tempo: Tempo,
    /// Whether three sentinels, or all there are, ever watched the master together.
    is_formed: bool,
    /// Whose sentinels the applications ask; none before they were told.
    clients: Option<BTreeSet<HostName>>,
    /// Values that an election lost which no operation of ours brought about.
    excused: BTreeSet<u64>,
    violations: Vec<String>,
    /// A client that keeps its connection.
    pub client: ConnectedClient,
}

/// A host.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any may go with any"
)]
pub struct Node {
    pub name: String,
    pub address: String,
    pub machine: Machine,
    pub is_down: bool,
    pub is_cut: bool,
    /// The engine's process.
    pub engine: Option<Server>,
    /// Sentinel's process.
    pub sentinel: Option<Sentinel>,
    /// What the engine holds, running or not.
    pub data: BTreeSet<u64>,
    /// How many changes led to that.
    pub offset: i64,
    /// Whether it ever held a whole copy, or was a master.
    is_synced: bool,
    /// What is on disk of an engine that does not write everything there at once.
    saved: BTreeSet<u64>,
    /// Whether there are files where the package keeps its data.
    pub has_data_files: bool,
    /// Since when sentinels see it in another role than theirs, and what it should follow.
    odd: Option<(i64, (String, u16))>,
    /// Whether its file was given a role by us that nobody else had for it, and it was not started since.
    made_replica: bool,
    /// Whether systemd has read the file that is laid over the engine's unit, and whether the process was started with it.
    has_read_drop_in: bool,
    has_umask: bool,
}

impl Cluster {
    /// Hosts with nothing on them.
    pub fn new(engine: Engine, hosts: &[&str], tempo: Tempo) -> Self {
        let nodes = (1..).zip(hosts).map(|(at, name)| Node {
            name: (*name).to_owned(),
            address: format!("10.0.0.{at}"),
            machine: Machine::default(),
            is_down: false,
            is_cut: false,
            engine: None,
            sentinel: None,
            data: BTreeSet::new(),
            offset: 0,
            is_synced: false,
            saved: BTreeSet::new(),
            has_data_files: false,
            odd: None,
            made_replica: false,
            has_read_drop_in: false,
            has_umask: false,
        });
        Self {
            engine,
            nodes: nodes.collect(),
            now: 1_000,
            tempo,
            is_formed: false,
            clients: None,
            excused: BTreeSet::new(),
            violations: Vec::new(),
            client: ConnectedClient::default(),
        }
    }

    /// Lets the moment pass in which something is changed.
    pub fn tick(&mut self) -> i64 {
        self.now += 20_000;
        self.now
    }

    pub fn config(&self) -> &'static str {
        self.engine.defaults().config
    }

    pub fn sentinel_config(&self) -> &'static str {
        self.engine.defaults().sentinel_config
    }

    pub fn unit(&self) -> &'static str {
        self.engine.defaults().unit
    }

    pub fn sentinel_unit(&self) -> &'static str {
        self.engine.defaults().sentinel_unit
    }

    /// The directory and the file that are laid over the engine's unit.
    pub fn drop_in(&self) -> (String, String) {
        let directory = format!("/etc/systemd/system/{}.d", self.unit());
        let file = format!("{directory}/clusterctl.conf");
        (directory, file)
    }

    /// Whether a file that sets a umask is laid over the engine's unit.
    fn has_drop_in(&self, at: usize) -> bool {
        let text = self.nodes[at].machine.text(&self.drop_in().1);
        text.lines().any(|line| line == "UMask=0027")
    }

    /// The node at an address.
    pub fn at(&self, address: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == address)
    }

    /// The node of that name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// Writes a file as its owner would.
    pub fn write_file(&mut self, at: usize, path: &str, text: &str) {
        let now = self.tick();
        let defaults = self.engine.defaults();
        let owner = if path == defaults.config {
            defaults.owner
        } else {
            defaults.sentinel_owner
        };
        self.nodes[at].machine.write(path, text, 0o640, owner, now);
    }

    /// The engine's package comes, or what an operator does in its place.
    pub fn install_engine(&mut self, name: &str, starts: bool) {
        let Some(at) = self.named(name) else { return };
        let defaults = self.engine.defaults();
        let text = if self.engine == Engine::Kvrocks {
            KVROCKS_CONF
        } else {
            REDIS_CONF
        };
        if !self.nodes[at].machine.files.contains_key(defaults.config) {
            self.write_file(at, defaults.config, text);
        }
        let machine = &mut self.nodes[at].machine;
        machine.packages.insert(defaults.package.to_owned());
        machine.unit(defaults.unit).is_enabled = starts;
        if starts {
            self.start_engine(at).ok();
        }
    }

    /// Sentinel's package comes, and starts it.
    pub fn install_sentinel(&mut self, name: &str) {
        let Some(at) = self.named(name) else { return };
        let defaults = self.engine.defaults();
        if !self.nodes[at]
            .machine
            .files
            .contains_key(defaults.sentinel_config)
        {
            self.write_file(at, defaults.sentinel_config, SENTINEL_CONF);
        }
        let machine = &mut self.nodes[at].machine;
        machine.packages.insert(defaults.sentinel_package.to_owned());
        machine.unit(defaults.sentinel_unit);
        self.enable_sentinel(at).ok();
        self.start_sentinel(at).ok();
    }

    /// What the sentinels that answer call the master, the latest word first; empty where none watches one of ours.
    pub fn named_masters(&self) -> Vec<usize> {
        let mut named: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for watched in self
            .nodes
            .iter()
            .filter_map(|node| node.sentinel.as_ref())
            .flat_map(|sentinel| &sentinel.watched)
        {
            if let Some(at) = self.at(&watched.ip) {
                named.entry(watched.epoch).or_default().push(at);
            }
        }
        named.into_values().rev().flatten().collect()
    }
}

/// The link that enabling a sentinel of Debian makes.
pub const SENTINEL_ALIAS: &str = "/etc/systemd/system/sentinel.service";

/// Debian's redis.conf, shortened.
pub const REDIS_CONF: &str = "\
# By default, if no \"bind\" configuration directive is specified, Redis listens
# for connections from all available network interfaces on the host machine.
bind 127.0.0.1 -::1
protected-mode yes
port 6379
daemonize yes
# requirepass foobared
dir /var/lib/redis
";

const KVROCKS_CONF: &str = "\
# By default kvrocks listens for connections from localhost interface.
bind 127.0.0.1
port 6666
dir /var/lib/kvrocks
# requirepass foobared
";

/// Debian's sentinel.conf, shortened.
pub const SENTINEL_CONF: &str = "\
protected-mode no
port 26379
daemonize yes
pidfile /run/sentinel/redis-sentinel.pid
logfile /var/log/redis/redis-sentinel.log
dir /var/lib/redis
sentinel monitor mymaster 127.0.0.1 6379 2
";
