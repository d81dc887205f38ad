//! A cluster that exists in memory: it answers the agent's queries and obeys its actions as ClickHouse, ZooKeeper and
//! Keeper do where the kind relies on it, and fails a test where they would die. So a test can carry out a plan, stop it
//! anywhere, and plan again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use plan::{Facts, HostFacts};
use protocol::facts::{
    CommandFact, FileFact, FileKind, HttpFact, HttpQuery, PackageFact, WordsFact, WordsQuery,
};
use protocol::{Fact, FactQuery, FileState, Operation, Text, UnitVerb};
use types::HostName;

use super::node::{File, Node, Unit};
use crate::clickhouse::{xml, zoo};
use crate::kind::Service;
use crate::step::Task;

pub(super) const CONFIG: &str = "/etc/clickhouse-server/config.xml";
pub(super) const CONFIG_D: &str = "/etc/clickhouse-server/config.d";
pub(super) const USERS: &str = "/etc/clickhouse-server/users.d/altcraft.xml";
pub(super) const ZOO_CFG: &str = "/etc/zookeeper/conf/zoo.cfg";
pub(super) const MYID: &str = "/etc/zookeeper/conf/myid";
pub(super) const ENVIRONMENT: &str = "/etc/default/zookeeper";
pub(super) const TABLE: &str = "events";

#[derive(Clone)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) version: &'static str,
    /// Replicas of the table that the quorum has registered.
    pub(super) registered: Vec<String>,
    /// Time: goes on by ten with each change.
    pub(super) now: i64,
}

impl World {
    pub(super) fn new(names: &[&str], version: &'static str) -> Self {
        let nodes = names.iter().map(|&name| Node {
            name: name.to_owned(),
            is_reachable: true,
            is_installed: false,
            files: BTreeMap::new(),
            server: Unit::default(),
            zookeeper: Unit::default(),
            loaded: BTreeMap::new(),
            started_with: BTreeMap::new(),
            zoo_cfg: String::new(),
            has_table: false,
            has_check_table: false,
            has_lost_session: false,
            delay: 0,
        });
        Self {
            nodes: nodes.collect(),
            version,
            registered: Vec::new(),
            now: 1_000,
        }
    }

    pub(super) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("a node")
    }

    pub(super) fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes
            .iter_mut()
            .find(|node| node.name == name)
            .expect("a node")
    }

    /// Writes a file as root would by hand.
    pub(super) fn write(&mut self, name: &str, path: &str, text: &str) {
        self.now += 10;
        let now = self.now;
        self.node_mut(name).put(path, text, 0o644, "root", "root", now);
    }

    /// What installing the packages comes to.
    pub(super) fn install(&mut self, name: &str) {
        let root = if self.version.starts_with("18") {
            "yandex"
        } else {
            "clickhouse"
        };
        self.write(
            name,
            CONFIG,
            &format!("<?xml version=\"1.0\"?>\n<{root}>\n</{root}>\n"),
        );
        let users = format!(
            "<{root}><users><default><password></password><networks><ip>::/0</ip></networks></default></users></{root}>"
        );
        self.write(name, "/etc/clickhouse-server/users.xml", &users);
        if !self.node(name).files.contains_key(ZOO_CFG) {
            self.write(
                name,
                ZOO_CFG,
                "tickTime=2000\ninitLimit=10\nsyncLimit=5\n# not there\ndataDir=/tmp/zookeeper\nclientPort=2181\n",
            );
            self.write(name, MYID, "replace this text with the instance id (1-255)\n");
        }
        self.write(name, ENVIRONMENT, "#JMXLOCALONLY=true\n#JAVA_OPTS=\"\"\n");
        self.write(name, "/var/lib/zookeeper/myid", "");
        let node = self.node_mut(name);
        node.is_installed = true;
        if let Some(link) = node.files.get_mut("/var/lib/zookeeper/myid") {
            link.kind = FileKind::Link;
        }
    }

    /// Starts the server, or fails the test where it would die.
    pub(super) fn start_server(&mut self, name: &str) {
        self.now += 10;
        let now = self.now;
        let node = self.node_mut(name);
        assert!(node.is_installed, "{name} has no server");
        let root = xml::parse(&node.files[CONFIG].text)
            .expect("config.xml is XML")
            .name;
        for (path, file) in &node.files {
            if path.starts_with("/etc/clickhouse-server/") && path.contains(".xml") {
                assert_eq!(
                    xml::parse(&file.text).expect(path).name,
                    root,
                    "{path} on {name} stops the server"
                );
            }
        }
        let texts: BTreeMap<String, String> = node
            .files
            .iter()
            .map(|(path, file)| (path.clone(), file.text.clone()))
            .collect();
        node.loaded.clone_from(&texts);
        node.started_with = texts;
        node.server.runs = true;
        node.server.started = now;
        if self.keeper_of(name).is_some() {
            self.node_mut(name).put(
                "/var/lib/clickhouse/coordination/log",
                "",
                0o750,
                "clickhouse",
                "clickhouse",
                now,
            );
        }
        let is_embedded = self.keeper_of(name).is_some();
        assert!(
            is_embedded || !self.node(name).has_table || self.has_quorum(),
            "ClickHouse on {name} dies: it has replicated tables and there is no quorum"
        );
    }

    pub(super) fn start_zookeeper(&mut self, name: &str) {
        self.now += 10;
        let now = self.now;
        let node = self.node_mut(name);
        assert!(node.is_installed, "{name} has no ZooKeeper");
        node.zoo_cfg = node.files[ZOO_CFG].text.clone();
        node.zookeeper.runs = true;
        node.zookeeper.started = now;
        // Whoever is in a quorum has taken part in an election.
        for at in 0..self.nodes.len() {
            let name = self.nodes[at].name.clone();
            let epoch = "/var/lib/zookeeper/version-2/currentEpoch";
            if self.mode(&name) != Mode::Alone
                && self.serves(&name)
                && !self.nodes[at].files.contains_key(epoch)
            {
                self.nodes[at].put(epoch, "1", 0o644, "zookeeper", "zookeeper", now);
            }
        }
    }

    /// The raft members that a running server was started with.
    fn keeper_of(&self, name: &str) -> Option<Vec<(u32, String)>> {
        let text = self
            .node(name)
            .started_with
            .get(&format!("{CONFIG_D}/keeper.xml"))?;
        let root = xml::parse(text).ok()?;
        let raft = root.child("keeper_server")?.child("raft_configuration")?;
        let server = |server: &xml::Element| {
            Some((
                server.text_at(&["id"])?.parse().ok()?,
                server.text_at(&["hostname"])?.to_owned(),
            ))
        };
        raft.all("server").map(server).collect()
    }

    /// The quorum's members as a running one knows them; `None` where it does not run.
    fn servers(&self, name: &str) -> Option<Vec<(u32, String)>> {
        let node = self.node(name);
        if node.zookeeper.runs {
            return Some(zoo::servers(&node.zoo_cfg));
        }
        self.keeper_of(name).filter(|_| node.server.runs)
    }

    pub(super) fn mode(&self, name: &str) -> Mode {
        let Some(servers) = self.servers(name) else {
            return Mode::Down;
        };
        if servers.is_empty() {
            return Mode::Alone;
        }
        let running = |names: &[(u32, String)]| names.iter().filter(|(_, name)| self.is_member(name)).count();
        if running(&servers) * 2 <= servers.len() {
            return Mode::Waiting;
        }
        // Whoever most of the members know leads; of equals the one with the highest number.
        let knows = |of: &str, name: &str| {
            self.servers(of)
                .is_some_and(|servers| servers.iter().any(|(_, other)| other == name))
        };
        let voters: Vec<&str> = self
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .filter(|name| self.is_member(name))
            .collect();
        let known_to = |name: &str| voters.iter().filter(|voter| knows(voter, name)).count();
        let candidates = servers.iter().filter(|(_, candidate)| self.is_member(candidate));
        let leader = candidates.max_by_key(|(id, candidate)| (known_to(candidate), *id));
        match leader {
            Some((_, leader)) if leader == name => Mode::Leader(running(&servers) - 1),
            _ => Mode::Follower,
        }
    }

    fn is_member(&self, name: &str) -> bool {
        self.nodes
            .iter()
            .any(|node| node.name == name && node.is_reachable)
            && self.servers(name).is_some_and(|servers| !servers.is_empty())
    }

    pub(super) fn serves(&self, name: &str) -> bool {
        matches!(self.mode(name), Mode::Leader(_) | Mode::Follower | Mode::Alone)
    }

    pub(super) fn has_quorum(&self) -> bool {
        self.nodes.iter().any(|node| self.serves(&node.name))
    }

    /// Does what an action does, after checking what it relies on, as the agent does.
    pub(super) fn perform(&mut self, task: &Task) {
        let name = task.host.as_str().to_owned();
        assert!(self.node(&name).is_reachable, "{name} is out of reach");
        let Some(action) = &task.action else { return };
        for condition in &action.only_if {
            assert_eq!(
                self.answer(&name, &condition.query),
                condition.fact,
                "{}",
                condition.what
            );
        }
        let takes = |verb: &UnitVerb| matches!(verb, UnitVerb::Restart | UnitVerb::Stop);
        let takes = matches!(&action.operation, Operation::Unit { verbs, .. } if verbs.iter().any(takes));
        if task.disrupts && takes && self.nodes.len() > 1 {
            for node in &self.nodes {
                let down = node.name != name && node.has_table && node.is_reachable && !node.server.runs;
                assert!(!down, "{name} is disrupted while {} is down", node.name);
            }
            assert!(self.has_quorum(), "{name} is disrupted without a quorum");
        }
        self.now += 10;
        match &action.operation {
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                group,
                was,
            } => {
                let found = self.node(&name).files.get(path).map(File::sha);
                let found = found.map_or(FileState::Absent, FileState::Hash);
                assert!(
                    *was == FileState::Any || *was == found,
                    "{path} changed since the plan"
                );
                let now = self.now;
                self.node_mut(&name)
                    .put(path, text.as_str(), *mode, owner, group, now);
            }
            Operation::MakeDirectory {
                path,
                mode,
                owner,
                group,
            } => {
                let now = self.now;
                self.node_mut(&name).put(path, "", *mode, owner, group, now);
            }
            Operation::InstallPackages { .. } => self.install(&name),
            Operation::Unit { name: unit, verbs } => {
                let is_zookeeper = unit.starts_with("zookeeper");
                for verb in verbs {
                    self.tell(&name, is_zookeeper, *verb);
                }
            }
            Operation::Http { requests, .. } => {
                for request in requests {
                    self.execute(&name, request.body.as_str());
                }
            }
            other => panic!("nobody does {other:?}"),
        }
    }

    fn tell(&mut self, name: &str, is_zookeeper: bool, verb: UnitVerb) {
        let node = self.node_mut(name);
        let unit = if is_zookeeper {
            &mut node.zookeeper
        } else {
            &mut node.server
        };
        match verb {
            UnitVerb::Enable => unit.is_enabled = true,
            UnitVerb::Disable => unit.is_enabled = false,
            UnitVerb::Stop => unit.runs = false,
            UnitVerb::Start | UnitVerb::Restart if is_zookeeper => self.start_zookeeper(name),
            UnitVerb::Start | UnitVerb::Restart => self.start_server(name),
            UnitVerb::DaemonReload | UnitVerb::Reload => {}
        }
    }

    fn execute(&mut self, name: &str, sql: &str) {
        assert!(self.node(name).server.runs, "{name} does not run");
        if sql == "SYSTEM RELOAD CONFIG" {
            let node = self.node_mut(name);
            node.loaded = node
                .files
                .iter()
                .map(|(path, file)| (path.clone(), file.text.clone()))
                .collect();
        } else if let Some(rest) = sql.strip_prefix("SYSTEM DROP REPLICA '") {
            let replica = rest.split('\'').next().expect("a name");
            self.registered.retain(|name| name != replica);
        } else {
            // The whole cluster takes part.
            assert!(
                self.has_quorum() && self.nodes.iter().all(|node| node.server.runs),
                "{sql} hangs"
            );
            for node in &mut self.nodes {
                node.has_check_table = sql.starts_with("CREATE TABLE");
            }
        }
    }

    pub(super) fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for host in service.hosts() {
            let observed = if self.node(host.as_str()).is_reachable {
                let answers = service.queries(host).into_iter().map(|query| {
                    let fact = self.answer(host.as_str(), &query);
                    (query, Ok(fact))
                });
                HostFacts::Observed(answers.collect())
            } else {
                HostFacts::Unreachable("connection timed out".to_owned())
            };
            facts.add(host.clone(), observed);
        }
        facts
    }

    fn answer(&self, name: &str, query: &FactQuery) -> Fact {
        let node = self.node(name);
        match query {
            FactQuery::File(query) => Fact::File(match node.files.get(&query.path) {
                Some(file) => FileFact::Present(file.meta(query.text)),
                None => FileFact::Absent,
            }),
            FactQuery::Package(_) => Fact::Package(PackageFact {
                version: node.is_installed.then(|| self.version.to_owned()),
            }),
            FactQuery::Command(_) => Fact::Command(CommandFact {
                status: 0,
                stdout: if node.is_installed {
                    String::new()
                } else {
                    format!("x:\n  Candidate: {}\n", self.version)
                },
                stderr: String::new(),
            }),
            FactQuery::Unit(query) => {
                let is_zookeeper = query.name.starts_with("zookeeper");
                let unit = if is_zookeeper {
                    &node.zookeeper
                } else {
                    &node.server
                };
                Fact::Unit(unit.fact(node.is_installed))
            }
            FactQuery::Http(query) => Fact::Http(self.http(name, query)),
            FactQuery::Words(query) => Fact::Words(self.words(name, query)),
            other => panic!("nobody asks {other:?}"),
        }
    }

    fn http(&self, name: &str, query: &HttpQuery) -> HttpFact {
        let node = self.node(name);
        if !node.server.runs {
            return HttpFact::Down("connection refused".to_owned());
        }
        if query.at.account.is_some() && !node.loaded.contains_key(USERS) {
            return HttpFact::Reply {
                status: 500,
                body: Text::new("Code: 192, e.displayText() = DB::Exception: Unknown user altcraft"),
            };
        }
        let sql = query.request.body.as_str();
        if sql.contains("system.zookeeper") && (node.has_lost_session || !self.has_quorum()) {
            return HttpFact::Reply {
                status: 500,
                body: Text::new("Code: 999, e.displayText() = Coordination::Exception: Session expired"),
            };
        }
        let body = if sql.contains("system.zookeeper") {
            "1\n".to_owned()
        } else if sql.contains("system.clusters") {
            self.state(node)
        } else if sql.starts_with("SELECT total_replicas") {
            format!("{}\t{}\n", self.registered.len(), self.active())
        } else if node.has_table {
            format!(
                "default\t{TABLE}\t{}\t0\t{}\t{}\t{}\t0\t/clickhouse/tables/01/{TABLE}\t{name}\n",
                i32::from(!self.has_quorum()),
                self.registered.len(),
                self.active(),
                node.delay
            )
        } else {
            String::new()
        };
        HttpFact::Reply {
            status: 200,
            body: Text::new(body),
        }
    }

    fn active(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.has_table && node.server.runs)
            .count()
    }

    fn state(&self, node: &Node) -> String {
        let mut out = format!(
            "version\t{}\t\t\n",
            self.version.split('+').next().unwrap_or_default()
        );
        let loaded = |name: &str| {
            let text = node.loaded.get(&format!("{CONFIG_D}/{name}.xml"))?;
            xml::parse(text).ok()
        };
        let shard = loaded("clusters").and_then(|root| {
            let cluster = root.child("remote_servers")?.child("altcraft")?;
            cluster.child("shard").cloned()
        });
        for replica in shard.iter().flat_map(|shard| shard.all("replica")) {
            let text = |name: &str| replica.text_at(&[name]).unwrap_or_default();
            let _ = writeln!(out, "replica\t{}\t{}\t1", text("host"), text("port"));
        }
        let macros = loaded("macros").and_then(|root| root.child("macros").cloned());
        for one in macros.iter().flat_map(|macros| &macros.children) {
            let _ = writeln!(out, "macro\t{}\t{}\t", one.name, one.text);
        }
        if node.has_check_table {
            out.push_str("check\tclusterctl_check\t\t\n");
        }
        out
    }

    fn words(&self, name: &str, query: &WordsQuery) -> WordsFact {
        let (mode, mntr) = match self.mode(name) {
            Mode::Down => return WordsFact::Down("connection refused".to_owned()),
            Mode::Waiting => ("This instance is not currently serving requests\n", String::new()),
            Mode::Alone => (
                "Mode: standalone\n",
                format!(
                    "zk_znode_count\t{}\n",
                    if self.registered.is_empty() { 5 } else { 80 }
                ),
            ),
            Mode::Leader(followers) => ("Mode: leader\n", format!("zk_synced_followers\t{followers}\n")),
            Mode::Follower => ("Mode: follower\n", String::new()),
        };
        let node = self.node(name);
        let conf = || {
            let value = |key: &str| zoo::value(&node.zoo_cfg, key).unwrap_or_default().to_owned();
            let servers = zoo::servers(&node.zoo_cfg);
            let own = servers
                .iter()
                .find(|(_, host)| host == name)
                .map_or(0, |(id, _)| *id);
            let mut lines = vec![
                format!("clientPort={}", value("clientPort")),
                format!("dataDir={}/version-2", value("dataDir")),
                format!("serverId={own}"),
            ];
            lines.extend(
                servers
                    .iter()
                    .map(|(id, host)| format!("server.{id}={host}:2888:3888:participant")),
            );
            lines.join("\n")
        };
        let reply = |word: &String| match word.as_str() {
            "srvr" => Text::new(mode),
            "mntr" => Text::new(mntr.clone()),
            _ if mode.starts_with("This") => Text::new(mode),
            _ => Text::new(conf()),
        };
        WordsFact::Replies(query.words.iter().map(reply).collect())
    }

    /// A table that every server has a replica of.
    pub(super) fn make_table(&mut self) {
        self.registered = self.nodes.iter().map(|node| node.name.clone()).collect();
        for node in &mut self.nodes {
            node.has_table = true;
        }
    }

    pub(super) fn host(name: &str) -> HostName {
        crate::testing::host(name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Down,
    Waiting,
    Alone,
    Leader(usize),
    Follower,
}
