//! A replica set's configuration document: what it says, and which documents the real server takes.
//!
//! After `repl_set_config.cpp` and `repl_set_config_checks.cpp`. A document that does not parse or breaks a rule of
//! its own is 93 (`InvalidReplicaSetConfig`); one that may not follow the present one is 103.

use std::collections::BTreeSet;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::errors::{Code, CommandError, fail};
use super::setmember::{self, integer, invalid, known, text};

pub use super::setmember::Member;

/// A configuration that obeys its own rules.
#[derive(Debug, Clone, PartialEq)]
pub struct SetConfig {
    /// The document with all defaults filled in, as `replSetGetConfig` tells it.
    pub document: Document,
    /// The set's name.
    pub name: String,
    /// Grows with each reconfig.
    pub version: i32,
    /// The election term in which it was made.
    pub term: i64,
    /// All members.
    pub members: Vec<Member>,
}

const FIELDS: &[&str] = &[
    "_id",
    "version",
    "term",
    "members",
    "settings",
    "protocolVersion",
    "writeConcernMajorityJournalDefault",
    "configsvr",
];
impl SetConfig {
    /// Reads a configuration; `release` is the server's, which decides how the delay is called.
    pub fn parse(from: &Document, release: (u32, u32)) -> Result<Self, CommandError> {
        known(from, FIELDS, "ReplSetConfig")?;
        let name = text(from, "_id", "ReplSetConfig")?;
        let version = integer(from, "version")
            .and_then(|version| i32::try_from(version).ok())
            .filter(|v| *v > 0);
        let Some(version) = version else {
            return invalid("version field value must be a positive integer");
        };
        let term = integer(from, "term").unwrap_or(0).max(0);
        let Some(Bson::Array(entries)) = from.get("members") else {
            return invalid("BSON field 'ReplSetConfig.members' is missing but a required field");
        };
        let delay = if release < (5, 0) {
            "slaveDelay"
        } else {
            "secondaryDelaySecs"
        };
        let mut members = Vec::new();
        let mut documents = Vec::new();
        for entry in entries {
            let Some(entry) = entry.as_document() else {
                return invalid("a member is no document");
            };
            let (member, document) = setmember::parse(entry, delay)?;
            members.push(member);
            documents.push(document);
        }
        let document = doc! {
            "_id": &name, "version": version, "term": term, "members": documents, "protocolVersion": 1_i64,
            "writeConcernMajorityJournalDefault": true, "settings": settings(from),
        };
        Ok(Self {
            document,
            name,
            version,
            term,
            members,
        })
    }

    /// The rules that a configuration obeys by itself.
    pub fn validate(&self) -> Result<(), CommandError> {
        let members = &self.members;
        let count = members.len();
        if !(1..=50).contains(&count) {
            return invalid(format!(
                "Replica set configuration contains {count} members, but must have at least 1 and no more than  50"
            ));
        }
        let local = members.iter().filter(|member| is_localhost(&member.host)).count();
        if local != 0 && local != count {
            return invalid(format!(
                "Either all host names in a replica set configuration must be localhost references, or none must be; \
                 found {local} out of {count}"
            ));
        }
        for (at, member) in members.iter().enumerate() {
            for (before, other) in members[..at].iter().enumerate() {
                if other.id == member.id {
                    return invalid(format!(
                        "Found two member configurations with same _id field, members.{before}._id == members.{at}._id \
                         == MemberId({})",
                        member.id
                    ));
                }
                if other.host == member.host {
                    return invalid(format!(
                        "Found two member configurations with same host field, members.{before}.host == \
                         members.{at}.host == {}",
                        member.host
                    ));
                }
            }
        }
        let voters = members.iter().filter(|member| member.votes).count();
        if !(1..=7).contains(&voters) {
            return invalid(format!(
                "Replica set configuration contains {voters} voting members, but must be at least 1 and no more than \
                 7"
            ));
        }
        if !members.iter().any(Member::electable) {
            return invalid(
                "Replica set configuration must contain at least one non-arbiter member with priority > 0",
            );
        }
        Ok(())
    }

    /// The member of this id.
    pub fn member(&self, id: i32) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.votes)
    }

    /// How many votes elect.
    pub fn majority(&self) -> usize {
        self.voters().count() / 2 + 1
    }

    /// How many voters hold data.
    pub fn writable_voters(&self) -> usize {
        self.voters().filter(|member| !member.arbiter).count()
    }

    /// How many members have a write before it counts as the majority's.
    pub fn write_majority(&self) -> usize {
        self.majority().min(self.writable_voters())
    }

    /// Whether writes wait for the majority where nobody says anything else (since 5.0): not where arbiters make
    /// the holders of data so few that one lost member would stop all writes.
    pub fn implicit_majority(&self) -> bool {
        let arbiters = self.members.iter().any(|member| member.arbiter);
        !arbiters || self.writable_voters() > self.majority()
    }

    /// Version and term, in the order that decides which configuration is newer.
    pub fn rank(&self) -> (i64, i32) {
        (self.term, self.version)
    }

    /// The same configuration in another term.
    #[must_use]
    pub fn in_term(&self, term: i64) -> Self {
        let mut new = self.clone();
        new.term = term;
        new.document.insert("term", term);
        new
    }

    /// The set's unique id.
    pub fn set_id(&self) -> Option<ObjectId> {
        self.document
            .get_document("settings")
            .ok()?
            .get_object_id("replicaSetId")
            .ok()
    }

    /// Gives a new set its unique id.
    pub fn assign_set_id(&mut self) {
        if let Ok(settings) = self.document.get_document_mut("settings") {
            settings.insert("replicaSetId", ObjectId::new());
        }
    }

    /// The document as clients see it: who waits for a vote is not told.
    pub fn shown(&self) -> Document {
        let mut shown = self.document.clone();
        for member in member_documents(&mut shown) {
            member.remove("newlyAdded");
        }
        shown
    }

    /// Holds back the votes of members that are new since `old`, until they have done their initial sync.
    pub fn hold_back_votes(&mut self, old: &Self) {
        for (member, document) in self.members.iter_mut().zip(member_documents(&mut self.document)) {
            let is_new = old.member(member.id).is_none_or(|was| was.newly_added);
            if is_new && member.votes && !member.arbiter {
                (member.votes, member.newly_added) = (false, true);
                document.insert("newlyAdded", true);
            }
        }
    }

    /// The next version, in which this member has its vote.
    #[must_use]
    pub fn grant_vote(&self, id: i32) -> Self {
        let mut new = self.clone();
        new.version += 1;
        new.document.insert("version", new.version);
        for (member, document) in new.members.iter_mut().zip(member_documents(&mut new.document)) {
            if member.id == id {
                (member.votes, member.newly_added) = (true, false);
                document.remove("newlyAdded");
            }
        }
        new
    }

    /// The rules of a first configuration.
    pub fn check_initial(&self) -> Result<(), CommandError> {
        if self.version != 1 {
            return invalid(format!(
                "Configuration used to initiate a replica set must  have version 1, but found {}",
                self.version
            ));
        }
        self.check_arbiters()
    }

    fn check_arbiters(&self) -> Result<(), CommandError> {
        match self
            .members
            .iter()
            .find(|member| member.arbiter && member.priority != 0.0)
        {
            None => Ok(()),
            Some(Member { host, priority, .. }) => invalid(format!(
                "Member {host} is an arbiter but has priority {priority}. Arbiter priority must be 0."
            )),
        }
    }

    /// Whether this configuration may follow `old`. All of it is 103 to the client, whatever rule is broken.
    pub fn check_follows(&self, old: &Self, force: bool) -> Result<(), CommandError> {
        self.validate()
            .map_err(|error| error.message)
            .and_then(|()| self.follows(old, force))
            .or_else(|reason| fail(Code::NewReplicaSetConfigurationIncompatible, reason))
    }

    fn follows(&self, old: &Self, force: bool) -> Result<(), String> {
        if self.rank() <= old.rank() {
            return Err(format!(
                "New replica set configuration version and term must be greater than old, but {{version: {}, term: \
                 {}}} is not greater than {{version: {}, term: {}}} for replica set {}",
                self.version, self.term, old.version, old.term, self.name
            ));
        }
        if self.name != old.name {
            return Err(format!(
                "New and old configurations differ in replica set name; old was {}, and new is {}",
                old.name, self.name
            ));
        }
        if self.set_id() != old.set_id() {
            let [was, new] = [old, self].map(|config| config.set_id().unwrap_or_default());
            return Err(format!(
                "New and old configurations differ in replica set ID; old was {was}, and new is {new}"
            ));
        }
        for (new, was) in self
            .members
            .iter()
            .flat_map(|new| old.members.iter().map(move |was| (new, was)))
        {
            if new.host == was.host && new.id != was.id {
                return Err(format!(
                    "New and old configurations both have members with host of {} but in the new configuration the \
                     _id field is MemberId({}) and in the old configuration it is MemberId({}) for replica set {}",
                    was.host, new.id, was.id, self.name
                ));
            }
            if new.id == was.id && new.arbiter != was.arbiter {
                return Err(format!(
                    "New and old configurations differ in the setting of the arbiterOnly field for member {}; to make \
                     this change, remove then re-add the member",
                    was.host
                ));
            }
        }
        if !force && voting(self).symmetric_difference(&voting(old)).count() > 1 {
            return Err(
                "Non force replica set reconfig can only add or remove at most 1 voting member.".into(),
            );
        }
        self.check_arbiters().map_err(|error| error.message)
    }
}

fn voting(config: &SetConfig) -> BTreeSet<i32> {
    let members = config.members.iter();
    members
        .filter(|member| member.votes || member.newly_added)
        .map(|member| member.id)
        .collect()
}

fn member_documents(config: &mut Document) -> impl Iterator<Item = &mut Document> {
    let members = config.get_array_mut("members").into_iter().flatten();
    members.filter_map(Bson::as_document_mut)
}

fn settings(from: &Document) -> Document {
    let mut settings = doc! {
        "chainingAllowed": true, "heartbeatIntervalMillis": 2000, "heartbeatTimeoutSecs": 10,
        "electionTimeoutMillis": 10000, "catchUpTimeoutMillis": -1, "catchUpTakeoverDelayMillis": 30000,
        "getLastErrorModes": {}, "getLastErrorDefaults": {"w": 1, "wtimeout": 0},
    };
    settings.extend(from.get_document("settings").cloned().unwrap_or_default());
    settings
}

fn is_localhost(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.starts_with("127.") || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(version: i32, members: Vec<Document>) -> Result<SetConfig, CommandError> {
        let document = doc! {"_id": "rs0", "version": version, "members": members};
        let config = SetConfig::parse(&document, (7, 0))?;
        config.validate()?;
        Ok(config)
    }

    fn three(version: i32) -> SetConfig {
        config(
            version,
            (0..3)
                .map(|id| doc! {"_id": id, "host": format!("db{}:27017", id + 1)})
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn defaults_are_filled_in() {
        let config = config(1, vec![doc! {"_id": 0, "host": "db1"}]).unwrap();
        let member = config.document.get_array("members").unwrap()[0]
            .as_document()
            .unwrap();
        assert_eq!(
            *member,
            doc! {"_id": 0, "host": "db1:27017", "arbiterOnly": false, "buildIndexes": true, "hidden": false,
            "priority": 1.0, "tags": {}, "secondaryDelaySecs": 0_i64, "votes": 1}
        );
    }

    #[test]
    fn wrong_documents_are_93() {
        for (members, says) in [
            (vec![], "at least 1 and no more than  50"),
            (
                vec![doc! {"_id": 0, "host": "a"}, doc! {"_id": 0, "host": "b"}],
                "same _id",
            ),
            (
                vec![doc! {"_id": 0, "host": "a"}, doc! {"_id": 1, "host": "a"}],
                "same host",
            ),
            (
                vec![doc! {"_id": 0, "host": "a"}, doc! {"_id": 1, "host": "localhost"}],
                "localhost",
            ),
            (vec![doc! {"_id": 0, "host": "a", "votes": 0}], "non-voting"),
            (vec![doc! {"_id": 0, "host": "a", "hidden": true}], "hidden=true"),
            (vec![doc! {"_id": 0, "host": "a", "priority": 0}], "at least one"),
            (vec![doc! {"_id": 0, "host": "a", "prio": 0}], "unknown field"),
            (
                vec![doc! {"_id": 0, "host": "a", "slaveDelay": 0}],
                "unknown field",
            ),
        ] {
            let error = config(1, members).unwrap_err();
            assert_eq!(error.code, Code::InvalidReplicaSetConfig);
            assert!(error.message.contains(says), "{}", error.message);
        }
    }

    #[test]
    fn a_successor_changes_one_vote_and_reuses_no_name() {
        let old = three(1);
        let check = |change: &dyn Fn(&mut Vec<Bson>), version: i32| {
            let mut document = old.document.clone();
            document.insert("version", version);
            change(document.get_array_mut("members").unwrap());
            SetConfig::parse(&document, (7, 0))
                .unwrap()
                .check_follows(&old, false)
        };
        assert_eq!(check(&|_| {}, 2), Ok(()));
        assert_eq!(check(&|members| drop(members.pop()), 2), Ok(()));
        let error = check(&|_| {}, 1).unwrap_err();
        assert!(error.message.contains("must be greater than old"), "{error}");
        assert_eq!(error.code, Code::NewReplicaSetConfigurationIncompatible);
        assert!(
            check(&|members| members.truncate(1), 2)
                .unwrap_err()
                .message
                .contains("at most 1 voting member")
        );
        let renumber = |members: &mut Vec<Bson>| members[2] = doc! {"_id": 7, "host": "db3:27017"}.into();
        assert!(
            check(&renumber, 2)
                .unwrap_err()
                .message
                .contains("the _id field is MemberId(7)")
        );
        let arbiter = |members: &mut Vec<Bson>| {
            members[2] = doc! {"_id": 2, "host": "db3:27017", "arbiterOnly": true, "priority": 0}.into();
        };
        assert!(check(&arbiter, 2).unwrap_err().message.contains("arbiterOnly"));
    }

    #[test]
    fn a_new_voter_counts_once_it_is_granted_its_vote_and_nobody_is_told_of_it() {
        let old = three(1);
        let mut document = old.document.clone();
        document.insert("version", 2);
        let members = document.get_array_mut("members").unwrap();
        members.push(doc! {"_id": 3, "host": "db4:27017"}.into());
        let mut new = SetConfig::parse(&document, (7, 0)).unwrap();
        new.hold_back_votes(&old);
        assert_eq!((new.voters().count(), new.majority()), (3, 2));
        assert_eq!(new.shown(), SetConfig::parse(&document, (7, 0)).unwrap().document);
        let read = SetConfig::parse(&new.document, (7, 0)).unwrap();
        assert_eq!(read, new, "it travels with the configuration");
        let granted = new.grant_vote(3);
        assert_eq!((granted.version, granted.voters().count()), (3, 4));
        assert_eq!(granted.shown(), granted.document);
    }

    #[test]
    fn arbiters_change_the_implicit_write_concern() {
        let members = |arbiters: i32| {
            let mut all: Vec<_> = (0..2)
                .map(|id| doc! {"_id": id, "host": format!("db{id}:1")})
                .collect();
            all.extend(
                (0..arbiters)
                    .map(|id| doc! {"_id": 10 + id, "host": format!("a{id}:1"), "arbiterOnly": true}),
            );
            config(1, all).unwrap()
        };
        assert!(members(0).implicit_majority());
        assert!(!members(1).implicit_majority());
        assert_eq!(members(1).write_majority(), 2);
    }
}
