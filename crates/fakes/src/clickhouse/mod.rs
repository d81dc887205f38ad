//! ClickHouse in memory, with Keeper or ZooKeeper: it answers the agent's queries and obeys its operations as the real
//! servers do where the kind relies on it, and dies where they die.
//!
//! The common state, replicas and inserted rows, is a tree of which every member of the quorum has a copy; a change
//! of it counts when the leader and a majority have it. A member reads who the others are at its start (`ZooKeeper`), or has
//! it from the tree (Keeper), so that a change of members that is not made one by one splits this quorum as it would a
//! real one.

mod cluster;
mod merged;
mod node;
mod paths;
mod play;
mod quorum;
mod role;
mod sql;
mod table;
mod units;
mod words;

use std::collections::BTreeSet;

use protocol::facts::{CandidateFact, CommandFact, PackageFact};
use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use crate::Fault;

pub use cluster::Cluster;
use cluster::{failed, unheard};
pub use node::{Node, Tree};
pub use paths::{
    CONFIG, CONFIG_D, ENVIRONMENT, EPOCH, KEEPER_LOG, MYID, SERVER, TABLE, USERS, USERS_D, ZK, ZOO_CFG,
};
use paths::{HTTP_PORT, METADATA, OURS, PACKAGES, WORD_PORTS};
pub use play::{DEBIAN, MODERN};
pub use play::{KEEPER, ZOOKEEPER};
pub use role::Role;

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
            FactQuery::Package(query) => PACKAGES.contains(&query.name.as_str()),
            FactQuery::Candidate(query) => query.unless == CONFIG,
            FactQuery::Unit(query) => [SERVER, ZK].contains(&query.name.as_str()),
            FactQuery::Http(query) => query.at.port == HTTP_PORT,
            FactQuery::Words(query) => WORD_PORTS.contains(&query.port),
            FactQuery::Command(query) => query.argv.last().is_some_and(|path| path == METADATA),
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
                is_partial: false,
            }),
            FactQuery::Candidate(query) => {
                let is_there = node.machine.files.contains_key(&query.unless);
                let version = (!is_there).then(|| self.version.to_owned());
                Fact::Candidate(CandidateFact { version })
            }
            FactQuery::Unit(query) => Fact::Unit(node.machine.unit_fact(&query.name)),
            FactQuery::Http(query) => Fact::Http(self.http(at, query)),
            FactQuery::Words(query) => Fact::Words(self.words(at, query)),
            // grep finds the statement of the client's table, or nothing.
            FactQuery::Command(_) => Fact::Command(CommandFact {
                status: i32::from(node.table.is_none()),
                stdout: String::new(),
                stderr: String::new(),
            }),
            other => unheard(&format!("{other:?}")),
        }))
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        let is_ours = match operation {
            Operation::WriteFile { path, .. }
            | Operation::RestoreFile { path, .. }
            | Operation::MakeDirectory { path, .. }
            | Operation::SetAccess { path, .. } => OURS.iter().any(|ours| path.starts_with(ours)),
            Operation::Unit { name, .. } => [SERVER, ZK].contains(&name.as_str()),
            Operation::InstallPackages { names } => {
                names.iter().any(|name| PACKAGES.contains(&name.as_str()))
            }
            Operation::Http { at, .. } => at.port == HTTP_PORT,
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
            Operation::Unit { name, verbs, .. } => {
                self.nodes[at].machine.note(operation);
                verbs.iter().try_for_each(|verb| self.tell(at, name, *verb))
            }
            Operation::Http {
                at: endpoint,
                requests,
                again_on: _,
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
            Fault::Handover => self.step_down(),
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        self.serving_hosts()
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
