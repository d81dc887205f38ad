//! Hosts in memory: enough of SSDB and systemd to carry plans out, one action after another.
//!
//! It does what the real server does (see the stand-in): mirrors pass on only what clients write, remember a position
//! for each master, and are out of sync where that is not in the master's binlog.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Facts, HostFacts};
use protocol::facts::{FileFact, FileKind, FileMeta, SsdbFact, SsdbQuery, SsdbReply, UnitFact};
use protocol::{Fact, FactError, FactQuery, Text};
use types::HostName;

use super::super::conf::Conf;
use super::super::view::slaveofs;
use crate::kind::Service;
use crate::testing::host;

/// The reference of our password, as the agent shows it.
pub(super) const OURS: &str = "⟪secret:file:pw⟫";
pub(super) const CONFIG: &str = "/usr/local/ssdb/ssdb-sessions.conf";
pub(super) const DIR: &str = "/usr/local/ssdb/var-sessions";
pub(super) const UNIT: &str = "ssdb-sessions.service";

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    now: i64,
}

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that is so or not on a host"
)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) is_reachable: bool,
    pub(super) has_unit: bool,
    /// Text, mode, owner and time of the configuration.
    pub(super) file: Option<(String, u32, &'static str, i64)>,
    pub(super) is_enabled: bool,
    pub(super) has_pid_file: bool,
    started: i64,
    runs: u32,
    pub(super) process: Option<Process>,
    pub(super) disk: Option<Disk>,
    /// Directories that were set aside.
    pub(super) aside: Vec<Disk>,
}

/// What a running server read when it started.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) ip: String,
    port: String,
    auth: Option<String>,
    pub(super) capacity: u64,
    masters: Vec<Master>,
    /// The masters from which nothing comes, whatever the status.
    pub(super) stalled: BTreeSet<String>,
    out_of_sync: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Master {
    id: String,
    host: String,
    port: String,
    auth: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    pub(super) data: BTreeMap<String, String>,
    /// Key, value (none where deleted), and whether it came from a mirror.
    log: Vec<(String, Option<String>, bool)>,
    positions: BTreeMap<String, usize>,
    ran: bool,
}

impl World {
    pub(super) fn bare(members: usize) -> Self {
        let names = ["db1", "db2", "db3", "db4"];
        let nodes = names.iter().take(members).enumerate().map(|(at, name)| Node {
            name,
            address: format!("10.0.0.{}", at + 1),
            is_reachable: true,
            has_unit: true,
            file: None,
            is_enabled: false,
            has_pid_file: false,
            started: 0,
            runs: 0,
            process: None,
            disk: None,
            aside: Vec::new(),
        });
        Self {
            nodes: nodes.collect(),
            now: 1_000,
        }
    }

    pub(super) fn at(&self, name: &str) -> usize {
        self.nodes
            .iter()
            .position(|node| node.name == name || node.address == name)
            .expect("a host")
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        let at = self.at(name);
        &mut self.nodes[at]
    }

    pub(super) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now
    }

    pub(super) fn write(&mut self, name: &str, text: &str) {
        let now = self.tick();
        self.node(name).file = Some((text.to_owned(), 0o640, "ssdb", now));
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.node(name).file.as_ref().expect("a file").0.clone()
    }

    pub(super) fn stop(&mut self, name: &str) {
        self.node(name).process = None;
    }

    pub(super) fn start(&mut self, name: &str) {
        let now = self.tick();
        let node = self.node(name);
        node.started = now;
        node.runs += 1;
        let text = node
            .file
            .as_ref()
            .map(|(text, ..)| text.clone())
            .unwrap_or_default();
        let can_run = node.disk.is_some() && !node.has_pid_file;
        node.process = Conf::parse(&text)
            .ok()
            .filter(|_| can_run)
            .map(|conf| Process::read(&conf));
        if let (Some(disk), Some(_)) = (&mut node.disk, &node.process) {
            disk.ran = true;
        }
        self.connect(name);
    }

    /// Links of and to a server that has just started begin anew.
    fn connect(&mut self, name: &str) {
        for mirror in 0..self.nodes.len() {
            for link in self.links(mirror) {
                let master = self.at(&link.host);
                if self.nodes[mirror].name == name || self.nodes[master].name == name {
                    let process = self.nodes[mirror].process.as_mut().expect("it has links");
                    process.stalled.remove(&link.id);
                    process.out_of_sync.remove(&link.id);
                    self.catch_up(mirror, &link, master);
                }
            }
        }
        self.settle();
    }

    fn links(&self, mirror: usize) -> Vec<Master> {
        self.nodes[mirror]
            .process
            .as_ref()
            .map(|process| process.masters.clone())
            .unwrap_or_default()
    }

    /// `DISCONNECTED`, `INIT` or an empty string where it is let in.
    fn barrier(&self, link: &Master) -> &'static str {
        match &self.nodes[self.at(&link.host)].process {
            Some(process) if process.port == link.port && process.ip != "127.0.0.1" => {
                let is_let_in = process.auth.as_ref().is_none_or(|auth| *auth == link.auth);
                if is_let_in { "" } else { "INIT" }
            }
            _ => "DISCONNECTED",
        }
    }

    fn catch_up(&mut self, mirror: usize, link: &Master, master: usize) {
        if !self.barrier(link).is_empty() {
            return;
        }
        let source = self.nodes[master].disk.clone().expect("it runs");
        let kept = self.nodes[master].process.as_ref().expect("it runs").capacity;
        let min = source
            .log
            .len()
            .saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
        let disk = self.nodes[mirror].disk.as_mut().expect("it runs");
        let position = disk.positions.get(&link.id).copied().unwrap_or_default();
        if position != 0 && (position > source.log.len() || position < min) {
            let process = self.nodes[mirror].process.as_mut().expect("it runs");
            process.out_of_sync.insert(link.id.clone());
            return;
        }
        if position == 0 {
            for (key, value) in &source.data {
                disk.set(key, Some(value.clone()), true);
            }
        } else {
            for (key, value, _) in source.log[position..]
                .iter()
                .filter(|(.., is_mirrored)| !is_mirrored)
            {
                disk.set(key, value.clone(), true);
            }
        }
        disk.positions.insert(link.id.clone(), source.log.len());
    }

    /// Mirrors are told where they stand.
    fn settle(&mut self) {
        for mirror in 0..self.nodes.len() {
            for link in self.links(mirror) {
                let length = self.nodes[self.at(&link.host)]
                    .disk
                    .as_ref()
                    .map_or(0, |disk| disk.log.len());
                let is_open = self.status(mirror, &link) == "SYNC" && !self.is_stalled(mirror, &link);
                if is_open && let Some(disk) = &mut self.nodes[mirror].disk {
                    disk.positions.insert(link.id, length);
                }
            }
        }
    }

    fn is_stalled(&self, mirror: usize, link: &Master) -> bool {
        self.nodes[mirror]
            .process
            .as_ref()
            .is_some_and(|process| process.stalled.contains(&link.id))
    }

    fn status(&self, mirror: usize, link: &Master) -> &'static str {
        let process = self.nodes[mirror].process.as_ref().expect("it has links");
        match self.barrier(link) {
            "" if process.out_of_sync.contains(&link.id) => "OUT_OF_SYNC",
            "" => "SYNC",
            other => other,
        }
    }

    /// A client's write.
    pub(super) fn set(&mut self, name: &str, key: &str, value: Option<&str>) {
        let master = self.at(name);
        let value = value.map(str::to_owned);
        self.nodes[master]
            .disk
            .as_mut()
            .expect("it runs")
            .set(key, value.clone(), false);
        for mirror in 0..self.nodes.len() {
            for link in self.links(mirror) {
                let leads_there = self.at(&link.host) == master;
                if leads_there && self.status(mirror, &link) == "SYNC" && !self.is_stalled(mirror, &link) {
                    self.nodes[mirror]
                        .disk
                        .as_mut()
                        .expect("it runs")
                        .set(key, value.clone(), true);
                }
            }
        }
        self.settle();
    }

    pub(super) fn changes(&mut self, name: &str) -> u64 {
        let log = &self.node(name).disk.as_ref().expect("it runs").log;
        u64::try_from(log.len()).expect("a number")
    }

    pub(super) fn get(&mut self, name: &str, key: &str) -> Option<String> {
        self.node(name).disk.as_ref()?.data.get(key).cloned()
    }

    /// What the agents answer.
    pub(super) fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for name in service.hosts() {
            self.gather(&mut facts, name, service.queries(name));
        }
        facts
    }

    pub(super) fn gather(&self, facts: &mut Facts, name: &HostName, queries: Vec<FactQuery>) {
        let node = &self.nodes[self.at(name.as_str())];
        if !node.is_reachable {
            facts.add(
                name.clone(),
                HostFacts::Unreachable("no route to host".to_owned()),
            );
            return;
        }
        let answers = queries.into_iter().map(|query| {
            let fact = self.answer(node, &query).ok_or_else(|| FactError {
                message: format!("{query:?}"),
            });
            (query, fact)
        });
        facts.add(name.clone(), HostFacts::Observed(answers.collect()));
    }

    pub(super) fn answer(&self, node: &Node, query: &FactQuery) -> Option<Fact> {
        Some(match query {
            FactQuery::Unit(_) => Fact::Unit(node.unit()),
            FactQuery::File(query) => Fact::File(node.path(&query.path)),
            FactQuery::Ssdb(query) => Fact::Ssdb(self.ask(node, query)),
            _ => return None,
        })
    }

    fn ask(&self, from: &Node, query: &SsdbQuery) -> SsdbFact {
        let refused = || SsdbFact::Down("connection refused".to_owned());
        let node = if query.address == "127.0.0.1" {
            from
        } else {
            &self.nodes[self.at(&query.address)]
        };
        let Some(process) = &node.process else {
            return refused();
        };
        let listens = process.ip == "0.0.0.0" || process.ip == query.address;
        if !listens || process.port != query.port.to_string() {
            return refused();
        }
        if process.auth.as_ref().is_some_and(|auth| auth != OURS) {
            return SsdbFact::Denied("error: invalid password".to_owned());
        }
        let disk = node.disk.as_ref().expect("it runs");
        let replies = query.commands.iter().map(|command| {
            let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
            self.reply(node, process, disk, &words)
        });
        SsdbFact::Replies {
            asks_password: process.auth.is_some(),
            replies: replies.collect(),
        }
    }

    fn reply(&self, node: &Node, process: &Process, disk: &Disk, words: &[&str]) -> SsdbReply {
        let ok = |items: Vec<String>| SsdbReply {
            status: "ok".to_owned(),
            items: items.into_iter().map(Text::new).collect(),
        };
        match words {
            ["info"] => ok(self.info(node, process, disk)),
            ["keys", _, _, limit] => ok(disk
                .data
                .keys()
                .take(limit.parse().expect("a number"))
                .cloned()
                .collect()),
            ["hlist" | "zlist" | "qlist", ..] => ok(Vec::new()),
            ["get", key] => match disk.data.get(*key) {
                Some(value) => ok(vec![value.clone()]),
                None => SsdbReply {
                    status: "not_found".to_owned(),
                    items: Vec::new(),
                },
            },
            other => panic!("{other:?}"),
        }
    }

    fn info(&self, node: &Node, process: &Process, disk: &Disk) -> Vec<String> {
        let max = disk.log.len();
        let min = max.saturating_sub(usize::try_from(process.capacity).unwrap_or(usize::MAX));
        let binlogs = format!(
            "    capacity : {}\n    min_seq  : {min}\n    max_seq  : {max}",
            process.capacity
        );
        let mut items: Vec<String> = [
            "ssdb-server",
            "version",
            "1.9.9",
            "links",
            "1",
            "binlogs",
            &binlogs,
        ]
        .map(str::to_owned)
        .into();
        let mirror = self.at(node.name);
        for link in &process.masters {
            let Master { id, host, port, .. } = link;
            let last = disk.positions.get(id).copied().unwrap_or_default();
            items.push("replication".to_owned());
            items.push(format!(
                "slaveof {host}:{port}\n    id         : {id}\n    type       : mirror\n    status     : {}\n    \
                 last_seq   : {last}\n    copy_count : 0\n    sync_count : 0",
                self.status(mirror, link)
            ));
        }
        items
    }
}

impl Process {
    fn read(conf: &Conf) -> Self {
        let text = |path: &[&str], default: &str| conf.get(path).unwrap_or(default).to_owned();
        let masters = slaveofs(conf).into_iter().map(|at| {
            let child = |key| conf.child(at, key).unwrap_or_default().to_owned();
            let host = if child("host").is_empty() {
                child("ip")
            } else {
                child("host")
            };
            let id = if child("id").is_empty() {
                format!("{host}|{}", child("port"))
            } else {
                child("id")
            };
            Master {
                id,
                host,
                port: child("port"),
                auth: child("auth"),
            }
        });
        Self {
            ip: text(&["server", "ip"], "127.0.0.1"),
            port: text(&["server", "port"], "8888"),
            auth: conf.get(&["server", "auth"]).map(str::to_owned),
            capacity: text(&["replication", "binlog", "capacity"], "20000000")
                .parse()
                .expect("a number"),
            masters: masters.collect(),
            stalled: BTreeSet::new(),
            out_of_sync: BTreeSet::new(),
        }
    }
}

impl Disk {
    fn set(&mut self, key: &str, value: Option<String>, is_mirrored: bool) {
        match &value {
            Some(value) => drop(self.data.insert(key.to_owned(), value.clone())),
            None => drop(self.data.remove(key)),
        }
        self.log.push((key.to_owned(), value, is_mirrored));
    }
}

impl Node {
    fn unit(&self) -> UnitFact {
        let (active, sub) = if self.process.is_some() {
            ("active", "running")
        } else {
            ("inactive", "dead")
        };
        UnitFact {
            load: if self.has_unit { "loaded" } else { "not-found" }.to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            enabled: if self.is_enabled { "enabled" } else { "disabled" }.to_owned(),
            main_pid: 1,
            started_us: self.started,
            invocation: if self.runs == 0 {
                String::new()
            } else {
                format!("{:08}", self.runs)
            },
            stale: false,
        }
    }

    fn path(&self, path: &str) -> FileFact {
        let meta = |kind, mode, owner: &str, modified, text: Option<&str>| {
            FileFact::Present(FileMeta {
                kind,
                sha256: "hash".to_owned(),
                len: 1,
                mode,
                owner: owner.to_owned(),
                group: owner.to_owned(),
                modified_us: modified,
                text: text.map(Text::new),
            })
        };
        let directory = || meta(FileKind::Directory, 0o750, "ssdb", 0, None);
        let found = match path.strip_prefix(DIR) {
            Some("") => self.disk.as_ref().map(|_| directory()),
            Some("/data") => self.disk.as_ref().filter(|disk| disk.ran).map(|_| directory()),
            Some("/ssdb.pid") => self
                .has_pid_file
                .then(|| meta(FileKind::File, 0o644, "ssdb", 0, None)),
            _ => self
                .file
                .as_ref()
                .map(|(text, mode, owner, at)| meta(FileKind::File, *mode, owner, *at, Some(text))),
        };
        found.unwrap_or(FileFact::Absent)
    }
}

/// The name of a host of the world.
pub(super) fn name(text: &str) -> HostName {
    host(text)
}
