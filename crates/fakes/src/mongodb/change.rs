//! Commands that change something, with what the server refuses and by which number.
//!
//! After `replication_coordinator_impl.cpp`. What waits for a majority on a real server is refused here where no majority
//! has it at once: to the client, that is the same.

use protocol::facts::{Bson, MongoCommand, MongoError};

use super::reply::bad;
use super::set::Set;
use formats::replset::{MemberConfig, SetConfig};

type Done = Result<(), MongoError>;

impl Set {
    /// Does what a command says, to the server on a host.
    pub fn change(&mut self, at: usize, command: &MongoCommand) -> Done {
        let field = |name: &str| {
            let mut fields = command.fields.iter();
            fields.find(|(known, _)| known == name).map(|(_, value)| value)
        };
        let argument = field(command.name()).cloned().unwrap_or(Bson::Null);
        if command.name() == "replSetInitiate" {
            return self.initiate(at, &argument);
        }
        if !self.nodes[at].is_primary() {
            return Err(bad(10107, "NotWritablePrimary", "not primary"));
        }
        match command.name() {
            "replSetReconfig" => self.reconfigure(at, &argument),
            "replSetStepDown" => self.step_down_for(at, argument.as_int().unwrap_or(60)),
            "setDefaultRWConcern" => {
                self.nodes[at].disk.data.has_write_concern = true;
                self.wrote(at)
            }
            "createUser" | "updateUser" => {
                let id = format!("{}.{}", command.db, argument.as_str().unwrap_or_default());
                let password = field("pwd").and_then(Bson::as_str);
                let roles = field("roles").map(Bson::items);
                self.set_user(at, command.name() == "createUser", id, password, roles)?;
                self.wrote(at)
            }
            #[expect(
                clippy::panic,
                reason = "a command that the fake does not know is a defect of the caller"
            )]
            other => panic!("no server here does {other}"),
        }
    }

    /// The others replicate a write of the primary; commands wait for a majority where it is the default, since 5.0.
    fn wrote(&mut self, at: usize) -> Done {
        self.nodes[at].disk.data.at.1 += 1;
        self.settle();
        if self.version.starts_with("4.") || self.is_majority_served(at) {
            return Ok(());
        }
        Err(bad(64, "WriteConcernFailed", "waiting for replication timed out"))
    }

    fn set_user(
        &mut self,
        at: usize,
        is_new: bool,
        id: String,
        password: Option<&str>,
        roles: Option<&[Bson]>,
    ) -> Done {
        let users = &mut self.nodes[at].disk.data.users;
        match (is_new, users.contains_key(&id)) {
            (true, true) => return Err(bad(51003, "Location51003", "User already exists")),
            (false, false) => return Err(bad(11, "UserNotFound", "Could not find user")),
            _ => {}
        }
        let user = users.entry(id).or_default();
        if let Some(password) = password {
            password.clone_into(&mut user.0);
        }
        if let Some(roles) = roles {
            let text = |role: &Bson, name: &str| {
                let text = role.get(name).and_then(Bson::as_str);
                text.unwrap_or_default().to_owned()
            };
            user.1 = roles
                .iter()
                .map(|role| (text(role, "role"), text(role, "db")))
                .collect();
        }
        Ok(())
    }

    fn initiate(&mut self, at: usize, document: &Bson) -> Done {
        let node = &self.nodes[at];
        let Some(set) = node.process.as_ref().and_then(|process| process.set()) else {
            let message = "This node was not started with replication enabled.";
            return Err(bad(76, "NoReplicationEnabled", message));
        };
        if node.disk.config.is_some() {
            return Err(bad(23, "AlreadyInitialized", "already initialized"));
        }
        let id = format!("{:024x}", at + 1);
        let config = SetConfig::read(document).with_set_id(&id);
        if config.name() != set || config.member(&node.member_name()).is_none() {
            let message = "the name differs, or no host described in the configuration maps to this node";
            return Err(bad(93, "InvalidReplicaSetConfig", message));
        }
        for member in config.members() {
            let other = self.at(member.name()).filter(|other| self.is_linked(at, *other));
            let Some(other) = other else {
                let message = format!(
                    "replSetInitiate quorum check failed: {} does not answer",
                    member.name()
                );
                return Err(bad(74, "NodeNotFound", &message));
            };
            let disk = &self.nodes[other].disk;
            if disk.config.is_some() {
                let message = format!("{} has a configuration already", member.name());
                return Err(bad(103, "NewReplicaSetConfigurationIncompatible", &message));
            }
            if other != at && !disk.data.databases.is_empty() {
                let message = format!("'{}' has data already, cannot initiate set.", member.name());
                return Err(bad(110, "CannotInitializeNodeWithData", &message));
            }
        }
        if self.nodes.iter().any(|node| node.disk.config.is_some()) {
            let name = &self.nodes[at].name;
            self.violations
                .push(format!("a second set was initiated on {name}"));
        }
        let disk = &mut self.nodes[at].disk;
        disk.config = Some(config);
        disk.has_data = true;
        self.settle();
        Ok(())
    }

    fn reconfigure(&mut self, at: usize, document: &Bson) -> Done {
        let incompatible = |message: &str| Err(bad(103, "NewReplicaSetConfigurationIncompatible", message));
        let node = &self.nodes[at];
        let (Some(old), Some(term)) = (
            node.disk.config.clone(),
            node.process.as_ref().and_then(|it| it.leads),
        ) else {
            return Err(bad(
                94,
                "NotYetInitialized",
                "no replset config has been received",
            ));
        };
        if !self.is_committed(at) {
            let message = "Cannot run replSetReconfig because the current config is not majority committed";
            return Err(bad(308, "CurrentConfigNotCommittedYet", message));
        }
        let mut new = SetConfig::read(document).in_term(term);
        if new.set_id().is_none()
            && let Some(Bson::ObjectId(id)) = old.set_id()
        {
            new = new.with_set_id(id);
        }
        if new.set_id() != old.set_id() || new.name() != old.name() {
            return incompatible("New and old configurations differ in replica set name or ID");
        }
        if new.version() <= old.version() {
            return incompatible("New replica set configuration version must be greater than old");
        }
        let has_write_concern = node.disk.data.has_write_concern || self.version.starts_with("4.");
        check_members(&old, &new, has_write_concern).or_else(incompatible)?;
        let own = new.member(&node.member_name());
        match own.map(|own| own.priority() > 0.0) {
            None => {
                let message = "No host described in new configuration maps to this node";
                return Err(bad(74, "NodeNotFound", message));
            }
            Some(false) => {
                let message = "This node is not electable under the new configuration";
                return Err(bad(125, "NodeNotElectable", message));
            }
            Some(true) => {}
        }
        self.check_quorum(at, &new)?;
        self.note_wrongs(&old, &new);
        let had_quorum = self.count_serving(&old) * 2 > old.voters();
        self.nodes[at].disk.config = Some(new.clone());
        self.settle();
        if had_quorum && self.count_serving(&new) * 2 <= new.voters() {
            self.violations.push(format!(
                "version {} of the configuration left no majority",
                new.version()
            ));
        }
        if !self.is_committed(at) {
            return Err(bad(50, "MaxTimeMSExpired", "operation exceeded time limit"));
        }
        // It answers once a majority has it.
        self.nodes[at].busy_us = self.now_us + self.pace.elect_us / 5;
        Ok(())
    }

    /// Enough voters of the new configuration answer, and nobody that does is of another set.
    fn check_quorum(&self, at: usize, new: &SetConfig) -> Done {
        let mut voters = 0;
        for member in new.members() {
            let Some(other) = self.at(member.name()).filter(|other| self.is_linked(at, *other)) else {
                continue;
            };
            let its = self.nodes[other].disk.config.as_ref();
            if its.is_some_and(|its| its.set_id() != new.set_id()) {
                let message = format!("Our replica set ID did not match that of {}", member.name());
                return Err(bad(103, "NewReplicaSetConfigurationIncompatible", &message));
            }
            voters += usize::from(member.votes());
        }
        if voters * 2 > new.voters() {
            return Ok(());
        }
        let message = "Quorum check failed because not enough voting nodes responded";
        Err(bad(74, "NodeNotFound", message))
    }

    /// Votes for those that have no data, and data that a copy of the set's is going to replace.
    fn note_wrongs(&mut self, old: &SetConfig, new: &SetConfig) {
        for member in new.members() {
            let host = member.name().rsplit_once(':').map_or("", |(host, _)| host);
            let Some(node) = self.nodes.iter().find(|node| node.name == host) else {
                continue;
            };
            let voted = old.member(member.name()).is_some_and(|member| member.votes());
            let is_new = old.member(member.name()).is_none();
            if member.votes() && !voted && !member.is_arbiter() && !node.disk.has_data {
                self.violations
                    .push(format!("{host} got a vote before it had the data"));
            }
            if is_new && !node.disk.has_data && !node.disk.data.databases.is_empty() {
                self.violations
                    .push(format!("{host} was added, and its own data are lost by it"));
            }
        }
    }

    fn step_down_for(&mut self, at: usize, seconds: i64) -> Done {
        if self.next_primary(at).is_none() || !self.is_majority_served(at) {
            let message = "No electable secondaries caught up; please use the replSetStepDown command with the argument \
                           {force: true} to force node to step down";
            return Err(bad(262, "ExceededTimeLimit", message));
        }
        let until = self.now_us + seconds * 1_000_000;
        if let Some(process) = &mut self.nodes[at].process {
            process.leads = None;
            process.stands_back_us = until;
        }
        self.settle();
        Ok(())
    }
}

/// Whether one configuration may follow another; else, what the server says.
fn check_members(old: &SetConfig, new: &SetConfig, has_write_concern: bool) -> Result<(), &'static str> {
    let votes = |config: &SetConfig| -> Vec<i64> {
        let voters = config.members().into_iter().filter(MemberConfig::votes);
        voters.map(|member| member.id()).collect()
    };
    let (before, after) = (votes(old), votes(new));
    let gone = before.iter().filter(|id| !after.contains(id)).count();
    let come = after.iter().filter(|id| !before.contains(id)).count();
    if gone + come > 1 {
        return Err("Non force replica set reconfig can only add or remove at most 1 voting member");
    }
    for member in new.members() {
        if !member.votes() && member.priority() != 0.0 {
            return Err("priority must be 0 when non-voting (votes:0)");
        }
        if (member.is_hidden() || member.delay() > 0) && member.priority() != 0.0 {
            return Err("priority must be 0 when hidden or delayed");
        }
        let olds = old.members().into_iter();
        let mut same = olds.filter(|it| it.id() == member.id() || it.name() == member.name());
        if !same.all(|it| it.id() == member.id() && it.name() == member.name()) {
            return Err(
                "New and old configurations both have members with the same host but in different _ids",
            );
        }
        if member.is_arbiter() && old.member(member.name()).is_none() && !has_write_concern {
            return Err(
                "Reconfig attempted to install a config that would change the implicit default write concern",
            );
        }
    }
    if new.members().iter().all(|member| member.priority() <= 0.0) {
        return Err(
            "Replica set configuration must contain at least one non-arbiter member with priority > 0",
        );
    }
    Ok(())
}
