//! One host: its files, what its processes have read of them, and what they keep on disk.

use std::collections::{BTreeMap, BTreeSet};

use types::HostName;

use super::merged::{MERGED, merged, text};
use super::paths::{MYID, OURS, SERVER, ZK, ZOO_CFG};
use super::role::Role;
use crate::Machine;
use formats::{xml, zoo};

/// A host of the cluster.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch by itself")]
pub struct Node {
    pub host: HostName,
    pub is_up: bool,
    /// Whether the other hosts are out of its reach.
    pub is_cut: bool,
    pub machine: Machine,
    /// The server's process.
    pub server: Option<Process>,
    /// ZooKeeper's process.
    pub zookeeper: Option<Process>,
    /// The role of its member of the quorum.
    pub role: Role,
    /// The common state on its disk.
    pub tree: Tree,
    /// The rows of the client's table on the server, where it has the table.
    pub table: Option<BTreeSet<u64>>,
    /// When it has caught up so far that it fetches what others insert at once.
    pub fetches_from: i64,
    pub has_check_table: bool,
    /// Whether it has the table that a new replica has until it has those of the others.
    pub has_joining_table: bool,
    /// A table that is not replicated; tests say so.
    pub local_table: Option<String>,
    /// Whether its session is over although there is a quorum; tests say so.
    pub has_lost_session: bool,
    /// Seconds behind beside what is missing; tests say so.
    pub delay: u64,
}

/// A process.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// When it answers.
    pub ready_us: i64,
    /// Whether it has come so far.
    pub is_ready: bool,
    /// The files that it has read at last, and when.
    pub loaded: BTreeMap<String, String>,
    /// Those, as it put them together.
    pub merged: xml::Element,
    pub read_us: i64,
    /// The members of the quorum that its files named at its start, and its own number.
    pub members: Vec<(u32, String)>,
    pub id: u32,
    /// The nodes that it asks for the common state; read at its start.
    pub coordinators: Vec<String>,
    /// `ZooKeeper`'s configuration at its start.
    pub zoo_cfg: String,
    /// The settings that it has read at last: hosts and ports of the cluster, macros, and Keeper's members.
    pub cluster: Vec<(String, String)>,
    pub macros: Vec<(String, String)>,
    pub wanted: Vec<(u32, String)>,
}

/// The common state that the quorum keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub epoch: u64,
    pub zxid: u64,
    /// Replicas of the client's table.
    pub registered: BTreeSet<String>,
    /// The inserted rows, and when.
    pub parts: BTreeMap<u64, i64>,
    /// Keeper's members.
    pub raft: Vec<(u32, String)>,
}

impl Node {
    pub fn new(name: &str) -> Option<Self> {
        Some(Self {
            host: name.parse().ok()?,
            is_up: true,
            is_cut: false,
            machine: Machine::default(),
            server: None,
            zookeeper: None,
            role: Role::Down,
            tree: Tree::default(),
            table: None,
            fetches_from: 0,
            has_check_table: false,
            has_joining_table: false,
            local_table: None,
            has_lost_session: false,
            delay: 0,
        })
    }

    pub fn name(&self) -> &str {
        self.host.as_str()
    }

    /// Whether the server answers.
    pub fn answers(&self) -> bool {
        self.server.as_ref().is_some_and(|process| process.is_ready)
    }

    /// Whether its server knows a cluster.
    pub fn knows_cluster(&self) -> bool {
        self.answers() && !self.cluster().is_empty()
    }

    /// The rows of its server's replica.
    pub fn parts(&self) -> impl Iterator<Item = u64> {
        self.table.iter().flatten().copied()
    }

    /// The process of a unit.
    pub fn process(&mut self, unit: &str) -> &mut Option<Process> {
        if unit == ZK {
            &mut self.zookeeper
        } else {
            &mut self.server
        }
    }

    /// The process that its member of the quorum lives in, and whether that is ZooKeeper's own.
    pub fn member(&self) -> Option<(&Process, bool)> {
        let keeper = self.server.as_ref().filter(|server| server.is_keeper());
        match &self.zookeeper {
            Some(process) => Some((process, true)),
            None => keeper.map(|process| (process, false)),
        }
    }

    /// The server writes what it has read where an operator can read it.
    pub(super) fn write_merged(&mut self, process: &Process, now_us: i64) {
        let text = text(&process.merged);
        self.machine.write(MERGED, &text, 0o640, "clickhouse", now_us);
    }

    /// The members of the quorum as its own one knows them.
    pub fn view(&self) -> Vec<(u32, String)> {
        match self.member() {
            Some((_, false)) if !self.tree.raft.is_empty() => self.tree.raft.clone(),
            Some((process, _)) => process.members.clone(),
            None => Vec::new(),
        }
    }

    /// Whether its own member knows another.
    pub fn knows(&self, name: &str) -> bool {
        self.view().iter().any(|(_, other)| other == name)
    }

    /// The number of its own member.
    pub fn id(&self) -> u32 {
        self.member().map_or(0, |(process, _)| process.id)
    }

    /// Hosts and ports of the cluster as the server has it.
    pub fn cluster(&self) -> &[(String, String)] {
        self.server.as_ref().map_or(&[], |server| &server.cluster)
    }

    /// Macros and values as the server has them.
    pub fn macros(&self) -> &[(String, String)] {
        self.server.as_ref().map_or(&[], |server| &server.macros)
    }

    /// The names that the server asks for the common state.
    pub fn coordinators(&self) -> &[String] {
        self.server.as_ref().map_or(&[], |server| &server.coordinators)
    }
}

impl Process {
    /// A process that starts, with what it reads then.
    pub fn start(machine: &Machine, unit: &str, now_us: i64, ready_us: i64) -> Self {
        let mut process = Self {
            ready_us,
            ..Self::default()
        };
        if unit == SERVER {
            process.read(texts(machine), now_us);
            process.coordinators = coordinators(&process.merged);
            (process.id, process.members) = raft(&process.merged).unwrap_or_default();
        } else {
            machine.text(ZOO_CFG).clone_into(&mut process.zoo_cfg);
            process.members = zoo::servers(&process.zoo_cfg);
            process.id = own_number(machine, &process.zoo_cfg).unwrap_or(0);
        }
        process
    }

    /// A server takes from its files what it takes at run time.
    pub fn read(&mut self, texts: BTreeMap<String, String>, now_us: i64) {
        self.loaded = texts;
        self.read_us = now_us;
        self.merged = merged(&self.loaded).unwrap_or_default();
        self.cluster = replicas(&self.merged);
        let macros = self.merged.child("macros");
        let all = macros.into_iter().flat_map(|macros| &macros.children);
        self.macros = all.map(|one| (one.name.clone(), one.text.clone())).collect();
        self.wanted = raft(&self.merged).unwrap_or_default().1;
    }

    /// Whether it is a server with a Keeper in it.
    pub fn is_keeper(&self) -> bool {
        self.id > 0
    }
}

/// The server's own files.
pub(super) fn texts(machine: &Machine) -> BTreeMap<String, String> {
    let ours = machine.files.iter().filter(|(path, _)| path.starts_with(OURS[0]));
    ours.map(|(path, file)| (path.clone(), file.text.clone()))
        .collect()
}

fn replicas(root: &xml::Element) -> Vec<(String, String)> {
    let clusters = root
        .child("remote_servers")
        .into_iter()
        .flat_map(|all| &all.children);
    let replicas = clusters
        .flat_map(|one| &one.children)
        .flat_map(|shard| shard.all("replica"));
    let replica = |replica: &xml::Element| {
        let text = |name: &str| replica.text_at(&[name]).unwrap_or_default().to_owned();
        (text("host"), text("port"))
    };
    replicas.map(replica).collect()
}

fn coordinators(root: &xml::Element) -> Vec<String> {
    let nodes = root
        .child("zookeeper")
        .into_iter()
        .flat_map(|all| all.all("node"));
    nodes
        .filter_map(|node| node.text_at(&["host"]).map(str::to_owned))
        .collect()
}

/// The own number and the members that a configuration names.
fn raft(root: &xml::Element) -> Option<(u32, Vec<(u32, String)>)> {
    let keeper = root.child("keeper_server")?;
    let id = keeper.text_at(&["server_id"])?.parse().ok()?;
    let server = |server: &xml::Element| {
        let id = server.text_at(&["id"])?.parse().ok()?;
        Some((id, server.text_at(&["hostname"])?.to_owned()))
    };
    let members = keeper.child("raft_configuration")?.all("server").map(server);
    Some((id, members.collect::<Option<_>>()?))
}

/// The number in the data directory that a zoo.cfg names; Debian's package links it into its configuration.
fn own_number(machine: &Machine, config: &str) -> Option<u32> {
    let path = format!("{}/myid", zoo::value(config, "dataDir")?);
    let is_link = machine
        .files
        .get(&path)
        .is_some_and(|file| file.kind == protocol::facts::FileKind::Link);
    let path = if is_link { MYID } else { &path };
    machine.text(path).trim().parse().ok()
}
