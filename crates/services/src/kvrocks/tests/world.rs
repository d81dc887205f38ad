//! A cluster that exists in memory: it answers the agent's queries and obeys its actions, as the real servers do where
//! the kind relies on it. So a test can carry out a plan, stop it anywhere, and plan again.

use std::collections::BTreeMap;

use plan::{Facts, HostFacts};

use super::servers::{Engine, Sentinel};
use crate::kind::Service;

/// Our password as facts show it.
pub(super) const OURS: &str = "⟪secret:file:pw⟫";
/// Somebody else's.
pub(super) const OTHER: &str = "⟪kept:10+32⟫";

#[derive(Clone)]
pub(super) struct World {
    pub(super) kind: &'static str,
    pub(super) nodes: Vec<Node>,
    /// Time: goes on by one with each change.
    pub(super) now: i64,
}

#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that tests throw by itself"
)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) is_reachable: bool,
    /// Text, mode, owner, time of the last change.
    pub(super) files: BTreeMap<String, (String, u32, &'static str, i64)>,
    pub(super) keys: i64,
    pub(super) has_data_files: bool,
    pub(super) engine: Option<Engine>,
    pub(super) is_enabled: bool,
    pub(super) sentinel: Option<Sentinel>,
    pub(super) sentinel_is_enabled: bool,
    /// Whether the packages are there.
    pub(super) is_installed: bool,
}

impl World {
    pub(super) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("a node")
    }

    pub(super) fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes
            .iter_mut()
            .find(|node| node.name == name)
            .expect("a node")
    }

    pub(super) fn config(&self) -> &'static str {
        match self.kind {
            "redis" => "/etc/redis/redis.conf",
            "valkey" => "/etc/valkey/valkey.conf",
            _ => "/etc/kvrocks/kvrocks.conf",
        }
    }

    pub(super) fn sentinel_config(&self) -> &'static str {
        match self.kind {
            "valkey" => "/etc/valkey/sentinel.conf",
            _ => "/etc/redis/sentinel.conf",
        }
    }

    pub(super) fn owner(&self, path: &str) -> &'static str {
        match self.kind {
            "valkey" => "valkey",
            "kvrocks" if path.starts_with("/etc/kvrocks") => "kvrocks",
            _ => "redis",
        }
    }

    /// Writes a file as its owner would.
    pub(super) fn write(&mut self, name: &str, path: &str, text: &str) {
        self.now += 1;
        let (owner, now) = (self.owner(path), self.now);
        let file = (text.to_owned(), 0o640, owner, now);
        self.node_mut(name).files.insert(path.to_owned(), file);
    }

    /// Changes the engine's file.
    pub(super) fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String) {
        let path = self.config();
        let text = edit(&self.node(name).files[path].0);
        self.write(name, path, &text);
    }

    /// Starts the engine anew with what its file says.
    pub(super) fn restart(&mut self, name: &str) {
        self.now += 1;
        let (text, now) = (self.node(name).files[self.config()].0.clone(), self.now);
        let engine = Engine::start(self.kind, &text, now);
        self.node_mut(name).engine = Some(engine);
        self.settle();
    }

    /// Starts the sentinel anew.
    pub(super) fn restart_sentinel(&mut self, name: &str) {
        self.now += 1;
        let path = self.sentinel_config();
        let (text, now) = (self.node(name).files[path].0.clone(), self.now);
        self.node_mut(name).sentinel = Some(Sentinel::start(&text, now));
        self.rewrite_sentinel(name);
    }

    /// Sentinel writes its file whenever it learns something.
    pub(super) fn rewrite_sentinel(&mut self, name: &str) {
        let path = self.sentinel_config();
        if let Some(sentinel) = &self.node(name).sentinel {
            let text = sentinel.file();
            self.write(name, path, &text);
        }
    }

    /// Replicas with a link hold what their master holds.
    pub(super) fn settle(&mut self) {
        for at in 0..self.nodes.len() {
            if let Some(master) = self.linked_to(&self.nodes[at]) {
                self.nodes[at].keys = self.node(master).keys;
            }
        }
    }

    /// The master that a node has a link to.
    pub(super) fn linked_to(&self, node: &Node) -> Option<&'static str> {
        let engine = node.engine.as_ref()?;
        let (address, port) = engine.follows.as_ref()?;
        let master = self.nodes.iter().find(|other| other.address == *address)?;
        let serving = master.engine.as_ref()?;
        let lets_in = !serving.asks() || serving.requirepass == engine.masterauth;
        (serving.port == *port && serving.listens_at(address) && lets_in).then_some(master.name)
    }

    pub(super) fn replicas_of(&self, address: &str) -> Vec<&Node> {
        let follows = |node: &&Node| {
            let engine = node.engine.as_ref();
            engine.is_some_and(|engine| engine.follows.as_ref().is_some_and(|(at, _)| at == address))
        };
        self.nodes.iter().filter(follows).collect()
    }

    /// What SENTINEL FAILOVER does, and CONFIG REWRITE after it.
    pub(super) fn fail_over(&mut self) {
        let old = self
            .nodes
            .iter()
            .find_map(|node| Some(node.sentinel.as_ref()?.watched.first()?.ip.clone()));
        let old = old.expect("a watched master");
        let new = self
            .replicas_of(&old)
            .first()
            .map(|node| node.address.clone())
            .expect("a replica");
        let port = self.nodes[0].engine.as_ref().map_or(6666, |engine| engine.port);
        for name in self.nodes.iter().map(|node| node.name).collect::<Vec<_>>() {
            let is_new = self.node(name).address == new;
            let kind = self.kind;
            let node = self.node_mut(name);
            if let Some(sentinel) = &mut node.sentinel {
                for watched in &mut sentinel.watched {
                    watched.ip.clone_from(&new);
                    watched.epoch += 1;
                }
            }
            if let Some(engine) = &mut node.engine {
                engine.follows = (!is_new).then(|| (new.clone(), port));
                let engine = engine.clone();
                self.edit(name, |text| super::servers::rewrite(kind, text, &engine));
            }
            self.rewrite_sentinel(name);
        }
        self.settle();
    }

    /// Answers every query of a service.
    pub(super) fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for at in service.hosts() {
            let node = self.node(at.as_str());
            if !node.is_reachable {
                facts.add(
                    at.clone(),
                    HostFacts::Unreachable("connection timed out".to_owned()),
                );
                continue;
            }
            let answers = service.queries(at).into_iter().map(|query| {
                let fact = self.answer(node, &query);
                (query, Ok(fact))
            });
            facts.add(at.clone(), HostFacts::Observed(answers.collect()));
        }
        facts
    }
}
