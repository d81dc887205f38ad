//! The replies of servers.

use std::collections::BTreeSet;

use protocol::facts::{Bson, Login, MongoCommand, MongoError, MongoFact, MongoQuery, Silence};

use super::node::{Node, Process};
use super::set::Set;
use formats::replset::SetConfig;

/// An error of a server.
pub(super) fn bad(code: i32, name: &str, message: &str) -> MongoError {
    MongoError {
        code,
        name: name.to_owned(),
        message: message.to_owned(),
    }
}

type Reply = Result<Bson, MongoError>;

impl Set {
    /// The answers of the server on a host, as the agent there gets them.
    pub(super) fn talk(&self, at: usize, query: &MongoQuery) -> MongoFact {
        let node = &self.nodes[at];
        let server = node
            .server(self.now_us)
            .filter(|server| server.port == query.port);
        let Some(process) = server else {
            return MongoFact::Down(Silence::refused());
        };
        if process.requires_tls() {
            return MongoFact::Down(Silence::foreign("it closed the connection"));
        }
        let login = match &query.user {
            Some(user) if node.disk.data.sha_1_users.contains(user.name.as_str()) => {
                let message = "Unable to use SCRAM-SHA-256 based authentication for user without any SCRAM-SHA-256 \
                               credentials registered";
                return MongoFact::Denied(bad(334, "MechanismUnavailable", message));
            }
            None => Login::Nobody,
            Some(user) if node.accepts(user) => Login::Accepted,
            Some(_) => Login::Refused(bad(18, "AuthenticationFailed", "Authentication failed.")),
        };
        if let Login::Refused(error) = &login
            && !query.or_as_nobody
        {
            return MongoFact::Denied(error.clone());
        }
        let replies = query.commands.iter().map(|command| {
            let reply = if may(node, process, &login, command) {
                let is_known = !process.has_auth() || login == Login::Accepted;
                self.reply(at, process, is_known, command)
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

    fn reply(&self, at: usize, process: &Process, is_known: bool, command: &MongoCommand) -> Reply {
        let node = &self.nodes[at];
        let data = &node.disk.data;
        let is_open = process.set().is_none() || node.is_primary() || node.is_secondary();
        match command.name() {
            "ping" => Ok(Bson::doc([])),
            "buildInfo" => Ok(Bson::doc([("version", self.version.into())])),
            "hello" if process.ends_us.is_some() => {
                let message = "The server is in quiesce mode and will shut down";
                Err(bad(91, "ShutdownInProgress", message))
            }
            "hello" => Ok(self.hello(at, process)),
            "replSetGetStatus" => self.status(at, process),
            "replSetGetConfig" => self.shown_config(at, process, command),
            "getCmdLineOpts" => Ok(Bson::doc([("parsed", process.parsed())])),
            "usersInfo" | "listDatabases" if !is_open => {
                let message = "node is not in primary or recovering state";
                Err(bad(13436, "NotPrimaryOrSecondary", message))
            }
            "usersInfo" => Ok(users(node, command)),
            "listDatabases" => {
                let names = ["admin", "config", "local"].into_iter();
                let names: BTreeSet<_> = names.chain(data.databases.iter().copied()).collect();
                // Somebody who may read nothing is shown none, which is no error.
                let databases = names.into_iter().filter(|_| is_known);
                let databases = databases.map(|name| Bson::doc([("name", name.into())]));
                Ok(Bson::doc([("databases", Bson::Array(databases.collect()))]))
            }
            "serverStatus" => self.server_status(at, process, command),
            // Before 5.0 it does not tell where a default comes from.
            "getDefaultRWConcern" if self.version.starts_with("4.") => {
                let majority = Bson::doc([("w", "majority".into())]);
                let set = data
                    .has_write_concern
                    .then_some(("defaultWriteConcern", majority));
                Ok(Bson::doc(set))
            }
            "getDefaultRWConcern" => {
                let source = if data.has_write_concern {
                    "global"
                } else {
                    "implicit"
                };
                Ok(Bson::doc([("defaultWriteConcernSource", source.into())]))
            }
            #[expect(
                clippy::panic,
                reason = "a command that the fake does not know is a defect of the caller"
            )]
            other => panic!("no server here answers {other}"),
        }
    }

    /// A server that waits for its set's configuration has no oplog, nor has an arbiter, and refuses a question for it as a
    /// whole (4.9). One that replicates nothing leaves that section out. What it holds is told by number since 5.1.
    fn server_status(&self, at: usize, process: &Process, command: &MongoCommand) -> Reply {
        let disk = &self.nodes[at].disk;
        let mut sections = Vec::new();
        let wants_oplog = command.fields.iter().any(|(name, _)| name == "oplog");
        if wants_oplog && process.set().is_some() {
            if disk.config.is_none() || self.nodes[at].is_arbiter() {
                let message = "Problem reading earliest entry from oplog";
                return Err(bad(17347, "Location17347", message));
            }
            let oplog = Bson::doc([
                ("latestOptime", Bson::Timestamp(100_000, 1)),
                ("earliestOptime", Bson::Timestamp(10_000, 1)),
            ]);
            sections.push(("oplog", oplog));
        }
        if !self.version.starts_with("4.") && !self.version.starts_with("5.0") {
            let collections = i64::try_from(disk.data.databases.len()).unwrap_or(i64::MAX);
            let stats = Bson::doc([("collections", collections.into())]);
            sections.push(("catalogStats", stats));
        }
        Ok(Bson::doc(sections))
    }

    fn shown_config(&self, at: usize, process: &Process, command: &MongoCommand) -> Reply {
        let config = config_of(&self.nodes[at], process)?;
        let mut fields = vec![("config", config.document())];
        if command.fields.iter().any(|(name, _)| name == "commitmentStatus") {
            if !self.nodes[at].is_primary() {
                let message = "commitmentStatus is only supported on primary";
                return Err(bad(10107, "NotWritablePrimary", message));
            }
            fields.push(("commitmentStatus", self.is_committed(at).into()));
        }
        Ok(Bson::doc(fields))
    }

    fn hello(&self, at: usize, process: &Process) -> Bson {
        let node = &self.nodes[at];
        let mut fields = Vec::new();
        if node.own().is_some() {
            fields.push(("setName", process.set().unwrap_or_default().into()));
            fields.push(("me", node.member_name().into()));
            let primary = self.leader_of(at);
            fields.extend(primary.map(|primary| ("primary", self.nodes[primary].member_name().into())));
        }
        let is_primary = node.is_primary() || process.set().is_none();
        fields.push(("isWritablePrimary", is_primary.into()));
        fields.push(("secondary", node.is_secondary().into()));
        if node.is_arbiter() {
            fields.push(("arbiterOnly", true.into()));
        }
        Bson::doc(fields)
    }

    fn status(&self, at: usize, process: &Process) -> Reply {
        let node = &self.nodes[at];
        let config = config_of(node, process)?;
        if node.own().is_none() {
            let message = "Our replica set config is invalid or we are not a member of it";
            return Err(bad(93, "InvalidReplicaSetConfig", message));
        }
        let members = config.members().into_iter().map(|member| {
            let other = self.at(member.name());
            let other =
                other.filter(|other| self.is_linked(at, *other) && self.nodes[*other].own().is_some());
            let other = other.map(|other| &self.nodes[other]);
            let (state, words) = match other {
                None => (8, "(not reachable/healthy)"),
                Some(node) if node.is_primary() => (1, "PRIMARY"),
                Some(node) if node.is_arbiter() => (7, "ARBITER"),
                Some(node) if node.disk.has_data => (2, "SECONDARY"),
                Some(_) => (5, "STARTUP2"),
            };
            let message = match other {
                Some(_) => String::new(),
                None => format!(
                    "Error connecting to {} :: caused by :: Connection refused",
                    member.name()
                ),
            };
            let reached = Bson::Date(other.map_or(0, |other| self.reached_ms(other)));
            let reached = (!member.is_arbiter()).then_some(("optimeDate", reached));
            let own = (member.name() == self.nodes[at].member_name()).then_some(("self", true.into()));
            let fields = [
                ("name", member.name().into()),
                ("health", Bson::double(if other.is_some() { 1.0 } else { 0.0 })),
                ("state", state.into()),
                ("stateStr", words.into()),
                ("lastHeartbeatMessage", message.into()),
            ];
            Bson::doc(fields.into_iter().chain(reached).chain(own))
        });
        Ok(Bson::doc([
            ("set", config.name().into()),
            ("term", node.disk.term.into()),
            ("members", Bson::Array(members.collect())),
        ]))
    }

    /// The moment up to which a member has the changes. A primary without work writes one every ten seconds, so whoever
    /// follows it is where it is.
    fn reached_ms(&self, node: &Node) -> i64 {
        if !node.disk.has_data || node.is_arbiter() {
            return 0;
        }
        let follows = node
            .process
            .as_ref()
            .is_some_and(|process| process.leads.is_some() || process.is_synced);
        let reached_us = if follows {
            self.now_us
        } else {
            node.disk.reached_us
        };
        let delay_s = node.own().map_or(0, |own| own.delay());
        reached_us / 1000 - (node.lag_s + delay_s) * 1000
    }
}

/// Whether a command is allowed: after a login, without one, or by the localhost exception.
pub(super) fn may(node: &Node, process: &Process, login: &Login, command: &MongoCommand) -> bool {
    // The real server's exception holds for an arbiter too; what if it did not?
    let has_no_user = node.disk.data.users.is_empty() && !node.is_arbiter();
    let excepted = [
        "replSetGetStatus",
        "replSetInitiate",
        "replSetReconfig",
        "createUser",
        "listDatabases",
    ];
    !process.has_auth()
        || *login == Login::Accepted
        || matches!(command.name(), "hello" | "buildInfo")
        || (has_no_user && excepted.contains(&command.name()))
        // An arbiter shows these to its own host (SERVER-5479).
        || (node.is_arbiter() && matches!(command.name(), "getCmdLineOpts" | "serverStatus" | "listDatabases"))
}

fn config_of<'n>(node: &'n Node, process: &Process) -> Result<&'n SetConfig, MongoError> {
    if process.set().is_none() {
        return Err(bad(76, "NoReplicationEnabled", "not running with --replSet"));
    }
    let config = node.disk.config.as_ref();
    config.ok_or_else(|| bad(94, "NotYetInitialized", "no replset config has been received"))
}

/// Those of the command's database, or of all.
fn users(node: &Node, command: &MongoCommand) -> Bson {
    let is_for_all = command.fields[0].1.get("forAllDBs").is_some_and(Bson::is_true);
    let users = node.disk.data.users.iter().filter_map(|(id, (_, roles))| {
        let (db, name) = id.split_once('.')?;
        if !is_for_all && db != command.db {
            return None;
        }
        let roles = roles
            .iter()
            .map(|(role, db)| Bson::doc([("role", role.as_str().into()), ("db", db.as_str().into())]));
        Some(Bson::doc([
            ("user", name.into()),
            ("db", db.into()),
            ("roles", Bson::Array(roles.collect())),
        ]))
    });
    Bson::doc([("users", Bson::Array(users.collect()))])
}

/// The wanted fields of a reply, as the agent cuts it.
fn project(document: &Bson, only: &[String]) -> Bson {
    if only.is_empty() {
        return document.clone();
    }
    let paths: Vec<Vec<&str>> = only.iter().map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    cut(document, &paths).unwrap_or(Bson::Null)
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
