//! A replica set that exists in memory: it answers the agent's queries and obeys its actions, as the real servers do
//! where the kind relies on it. So a test can carry out a plan, stop it anywhere, and plan again.

use std::collections::BTreeMap;

use plan::{Facts, HostFacts, Verdict};
use protocol::facts::{
    Bson, CommandFact, FileFact, FileKind, FileMeta, Login, MongoCommand, MongoFact, MongoQuery, MongoUser,
    UnitFact,
};
use protocol::{Fact, FactQuery, FileState, Operation, UnitVerb};

use super::servers::{Disk, Process, bad};
use crate::kind::Service;
use crate::mongodb::set::{Member, SetConfig};
use crate::step::Task;

pub(super) const CONF: &str = "/etc/mongod.conf";
pub(super) const LOCK: &str = "/var/lib/mongodb/mongod.lock";
pub(super) const KEY: &str = "/etc/mongod.keyfile";
/// Our key as facts show it.
pub(super) const OUR_KEY: &str = "⟪secret:file:key⟫";

#[derive(Clone)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) version: &'static str,
    pub(super) primary: Option<&'static str>,
    pub(super) term: i64,
    /// Time: goes on by one with each change.
    pub(super) now: i64,
}

#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that can be wrong with a host"
)]
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) is_reachable: bool,
    pub(super) is_installed: bool,
    pub(super) is_enabled: bool,
    /// Text, mode, owner, time of the last change.
    pub(super) files: BTreeMap<String, (String, u32, String, i64)>,
    pub(super) process: Option<Process>,
    pub(super) disk: Disk,
    /// How far it is behind, in seconds.
    pub(super) lag_s: i64,
    /// Whether it never gets the data: a copy that takes long.
    pub(super) is_copying: bool,
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

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.nodes.iter().map(|node| node.name).collect()
    }

    /// Writes a file.
    pub(super) fn write(&mut self, name: &str, path: &str, text: &str, mode: u32, owner: &str) {
        self.now += 1;
        let file = (text.to_owned(), mode, owner.to_owned(), self.now);
        self.node_mut(name).files.insert(path.to_owned(), file);
    }

    /// Changes mongod.conf as an operator would.
    pub(super) fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String) {
        let text = edit(&self.node(name).files[CONF].0);
        self.write(name, CONF, &text, 0o644, "root");
    }

    /// Starts the server anew with what its files say.
    pub(super) fn restart(&mut self, name: &str) {
        self.now += 1;
        let (now, version) = (self.now, self.version);
        let node = self.node_mut(name);
        let conf = node.files.get(CONF).map_or("", |file| file.0.as_str());
        let key = node.files.get(KEY);
        node.process = Some(Process::start(conf, key, now, version));
        let lock = (String::new(), 0o600, "mongodb".to_owned(), now);
        node.files.insert(LOCK.to_owned(), lock);
        if self.primary == Some(self.node(name).name) {
            self.primary = None;
        }
        self.settle();
    }

    pub(super) fn stop(&mut self, name: &str) {
        let name = self.node(name).name;
        self.node_mut(name).process = None;
        if self.primary == Some(name) {
            self.primary = None;
        }
        self.settle();
    }

    /// The member of a name in a configuration.
    fn at(&self, member: &str) -> Option<&Node> {
        let (name, port) = member.rsplit_once(':')?;
        let node = self.nodes.iter().find(|node| node.name == name)?;
        let process = node.process.as_ref()?;
        (process.port.to_string() == port).then_some(node)
    }

    /// Members learn the latest configuration, elect, and copy.
    pub(super) fn settle(&mut self) {
        let configs = self.nodes.iter().filter(|node| node.is_in_set());
        let latest = configs.filter_map(|node| node.disk.config.clone());
        let Some(config) = latest.max_by_key(SetConfig::version) else {
            self.primary = None;
            return;
        };
        for member in config.members() {
            if let Some(name) = self
                .at(member.name())
                .filter(|node| node.replicates())
                .map(|node| node.name)
            {
                let arbiter = member.is_arbiter();
                let disk = &mut self.node_mut(name).disk;
                disk.config = Some(config.clone());
                disk.is_arbiter = arbiter;
            }
        }
        let name_of =
            |node: &Node| format!("{}:{}", node.name, node.process.as_ref().map_or(0, |it| it.port));
        for node in &mut self.nodes {
            let is_old = node
                .disk
                .config
                .as_ref()
                .is_some_and(|own| own.set_id() == config.set_id());
            if is_old && node.process.is_some() && config.member(&name_of(node)).is_none() {
                node.disk.config = Some(config.clone());
            }
        }
        self.elect(&config);
        self.copy(&config);
    }

    fn elect(&mut self, config: &SetConfig) {
        let voters = config.members().into_iter().filter(Member::votes);
        let voters: Vec<_> = voters.collect();
        let up = voters
            .iter()
            .filter(|member| self.at(member.name()).is_some_and(Node::is_in_set))
            .count();
        if up * 2 <= voters.len() {
            self.primary = None;
            return;
        }
        let can = |world: &Self, name: &str| {
            let member = config
                .members()
                .into_iter()
                .find(|member| member.name().starts_with(&format!("{name}:")));
            member.is_some_and(|member| {
                let node = world.at(member.name());
                member.priority() > 0.0 && node.is_some_and(|node| node.is_in_set() && node.disk.has_data)
            })
        };
        if self.primary.is_some_and(|name| can(self, name)) {
            return;
        }
        self.primary = self.names().into_iter().find(|name| can(self, name));
        self.term += 1;
        if let Some(name) = self.primary {
            let term = self.term;
            let disk = &mut self.node_mut(name).disk;
            if let Some(config) = &disk.config {
                let mut document = config.document();
                if let Bson::Doc(fields) = &mut document {
                    fields.retain(|(name, _)| name != "term");
                    fields.push(("term".to_owned(), term.into()));
                }
                disk.config = Some(SetConfig::read(&document));
            }
            let config = disk.config.clone();
            for node in self.nodes.iter_mut().filter(|node| node.is_in_set()) {
                node.disk.config.clone_from(&config);
            }
        }
    }

    fn copy(&mut self, config: &SetConfig) {
        let Some(primary) = self.primary.map(|name| self.node(name).disk.clone()) else {
            return;
        };
        for member in config.members().iter().filter(|member| !member.is_arbiter()) {
            let Some(name) = self.at(member.name()).map(|node| node.name) else {
                continue;
            };
            let node = self.node_mut(name);
            if node.is_in_set() && !node.is_copying {
                node.disk.users.clone_from(&primary.users);
                node.disk.databases.clone_from(&primary.databases);
                node.disk.has_data = true;
            }
        }
    }

    /// Lets another member become the primary.
    pub(super) fn step_down(&mut self) {
        let old = self.primary.expect("a primary");
        let config = self.node(old).disk.config.clone().expect("a configuration");
        let can = |name: &&'static str| {
            let member = config
                .members()
                .into_iter()
                .find(|member| member.name().starts_with(&format!("{name}:")));
            let node = self.node(name);
            **name != *old
                && node.is_in_set()
                && node.disk.has_data
                && member.is_some_and(|it| it.priority() > 0.0)
        };
        self.primary = self.names().into_iter().find(can);
        self.term += 1;
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

    fn answer(&self, node: &Node, query: &FactQuery) -> Fact {
        match query {
            FactQuery::Unit(_) => Fact::Unit(node.unit()),
            FactQuery::File(query) => Fact::File(node.file(&query.path)),
            FactQuery::Mongo(query) => Fact::Mongo(self.talk(node, query)),
            FactQuery::Command(query) => {
                assert_eq!(query.argv, ["mongod", "--version"]);
                Fact::Command(CommandFact {
                    status: 0,
                    stdout: format!("db version v{}\nBuild Info: {{}}\n", self.version),
                    stderr: String::new(),
                })
            }
            other => panic!("nobody answers {other:?}"),
        }
    }

    fn talk(&self, node: &Node, query: &MongoQuery) -> MongoFact {
        let process = node.process.as_ref().filter(|process| process.port == query.port);
        let Some(process) = process else {
            return MongoFact::Down("connection refused".to_owned());
        };
        let login = match &query.user {
            None => Login::Nobody,
            Some(user) if node.knows(user) => Login::Accepted,
            Some(_) => Login::Refused(bad(18, "AuthenticationFailed", "Authentication failed.")),
        };
        if let Login::Refused(error) = &login
            && !query.or_as_nobody
        {
            return MongoFact::Denied(error.clone());
        }
        let replies = query.commands.iter().map(|command| {
            let reply = if may(node, process, &login, command) {
                super::servers::reply(self, node, process, command)
            } else {
                Err(bad(13, "Unauthorized", "command requires authentication"))
            };
            reply.map(|document| project(&document, &command.only))
        });
        MongoFact::Replies {
            replies: replies.collect(),
            login: login.clone(),
        }
    }

    /// Does what a task says, as the agent would: its preconditions first, then the change, then the gates.
    pub(super) fn perform(&mut self, service: &dyn Service, task: &Task) {
        let host = task.host.as_str();
        if let Some(action) = &task.action {
            for precondition in &action.only_if {
                let found = self.answer(self.node(host), &precondition.query);
                assert_eq!(found, precondition.fact, "{}: {}", task.title, precondition.what);
            }
            self.operate(host, &action.operation);
        }
        self.settle();
        for gate in &task.gates {
            let mut facts = Facts::default();
            for (host, queries) in &gate.watch {
                let node = self.node(host.as_str());
                let answers = queries
                    .iter()
                    .map(|query| (query.clone(), Ok(self.answer(node, query))));
                facts.add(host.clone(), HostFacts::Observed(answers.collect()));
            }
            let verdict = service.judge(&gate.check, gate.host.as_ref(), &facts);
            assert_eq!(verdict, Verdict::Pass, "{}: {}", task.title, gate.title);
        }
    }

    fn operate(&mut self, host: &str, operation: &Operation) {
        match operation {
            Operation::InstallPackages { .. } => {
                self.write(host, CONF, super::PACKAGED, 0o644, "root");
                self.node_mut(host).is_installed = true;
            }
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                was,
                ..
            } => {
                let stands = self.node(host).file(path).state();
                assert!(*was == FileState::Any || *was == stands, "{path} changed");
                let (text, mode, owner) = (text.as_str().to_owned(), *mode, owner.clone());
                self.write(host, path, &text, mode, &owner);
            }
            Operation::Run { commands } => {
                for command in commands {
                    let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
                    let [what, value, path] = words.as_slice() else {
                        panic!("{words:?}")
                    };
                    let file = self.node_mut(host).files.get_mut(*path).expect("a file");
                    match *what {
                        "chown" => file.2 = value.split(':').next().expect("an owner").to_owned(),
                        "chmod" => file.1 = u32::from_str_radix(value, 8).expect("a mode"),
                        other => panic!("{other}"),
                    }
                }
            }
            Operation::Unit { verbs, .. } => {
                for verb in verbs {
                    match verb {
                        UnitVerb::Enable => self.node_mut(host).is_enabled = true,
                        UnitVerb::Start | UnitVerb::Restart => self.restart(host),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Operation::Mongo {
                port, user, commands, ..
            } => {
                for command in commands {
                    self.command(host, *port, user.as_ref(), command);
                }
            }
            other => panic!("nobody does {other:?}"),
        }
    }

    fn command(&mut self, host: &str, port: u16, user: Option<&MongoUser>, command: &MongoCommand) {
        let node = self.node(host);
        let process = node.process.as_ref().expect("a server");
        assert_eq!(process.port, port);
        let login = match user {
            None => Login::Nobody,
            Some(user) => {
                assert!(node.knows(user), "{} cannot log in for {command}", user.name);
                Login::Accepted
            }
        };
        assert!(may(node, process, &login, command), "{command} is not allowed");
        super::servers::change(self, host, command);
        self.settle();
    }
}

/// Whether a command is allowed: to who logged in, to everybody, or by the localhost exception.
fn may(node: &Node, process: &Process, login: &Login, command: &MongoCommand) -> bool {
    // The real server's exception holds for an arbiter too; what if it did not?
    let has_no_user = node.disk.users.is_empty() && !node.disk.is_arbiter;
    let excepted = ["replSetGetStatus", "replSetInitiate", "createUser"];
    !process.has_auth()
        || *login == Login::Accepted
        || matches!(command.name(), "hello" | "buildInfo")
        || (has_no_user && excepted.contains(&command.name()))
        // An arbiter shows these to its own host (SERVER-5479).
        || (node.disk.is_arbiter && matches!(command.name(), "getCmdLineOpts" | "serverStatus"))
}

impl Node {
    fn knows(&self, user: &MongoUser) -> bool {
        let known = self.disk.users.get(&user.name);
        known.is_some_and(|(password, _)| *password == format!("⟪secret:{}⟫", user.password))
    }

    pub(super) fn replicates(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.set().is_some())
    }

    /// Whether it runs as a member of the set that its disk remembers.
    pub(super) fn is_in_set(&self) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        let own = format!("{}:{}", self.name, process.port);
        let config = self.disk.config.as_ref();
        process.set().is_some() && config.is_some_and(|config| config.member(&own).is_some())
    }

    fn unit(&self) -> UnitFact {
        let word = |yes: bool, a: &str, b: &str| if yes { a } else { b }.to_owned();
        let runs = self.process.is_some();
        UnitFact {
            load: word(self.is_installed, "loaded", "not-found"),
            active: word(runs, "active", "inactive"),
            sub: word(runs, "running", "dead"),
            enabled: word(self.is_enabled, "enabled", "disabled"),
            main_pid: u32::from(runs),
            started_us: self.process.as_ref().map_or(0, |process| process.started),
            invocation: self
                .process
                .as_ref()
                .map_or_else(String::new, |process| format!("{:032x}", process.started)),
            stale: false,
        }
    }

    fn file(&self, path: &str) -> FileFact {
        let Some((text, mode, owner, modified_us)) = self.files.get(path) else {
            return FileFact::Absent;
        };
        FileFact::Present(FileMeta {
            kind: FileKind::File,
            sha256: format!("{text:?}"),
            len: 1,
            mode: *mode,
            owner: owner.clone(),
            group: owner.clone(),
            modified_us: *modified_us,
            text: Some(text.as_str().into()),
        })
    }
}

/// What is wanted of a reply, as the agent cuts it.
fn project(document: &Bson, only: &[String]) -> Bson {
    let paths: Vec<Vec<&str>> = only.iter().map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    cut(document, &paths).expect("a document")
}

fn cut(value: &Bson, paths: &[&[&str]]) -> Option<Bson> {
    match value {
        Bson::Doc(fields) => {
            let mut kept: Vec<(String, Bson)> = Vec::new();
            for head in paths.iter().filter_map(|path| path.first()) {
                let Some((name, value)) = fields.iter().find(|(name, _)| name == head) else {
                    continue;
                };
                if kept.iter().any(|(known, _)| known == name) {
                    continue;
                }
                let inner: Vec<&[&str]> = paths
                    .iter()
                    .filter(|path| path.first() == Some(head))
                    .map(|path| &path[1..])
                    .collect();
                let part = if inner.iter().any(|path| path.is_empty()) {
                    Some(value.clone())
                } else {
                    cut(value, &inner)
                };
                kept.extend(part.map(|part| (name.clone(), part)));
            }
            Some(Bson::Doc(kept))
        }
        Bson::Array(items) => Some(Bson::Array(
            items.iter().filter_map(|item| cut(item, paths)).collect(),
        )),
        _ => None,
    }
}
