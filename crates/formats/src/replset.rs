//! A replica set's configuration document: its members and their fields, read and changed one by one.
//!
//! Fields that nobody here knows keep their place and their values.

use std::collections::BTreeSet;

use protocol::facts::{Bson, Fields};
use types::HostName;

/// A configuration of the set.
#[derive(Debug, Clone, PartialEq)]
pub struct SetConfig {
    fields: Fields,
}

/// One member in it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberConfig {
    fields: Fields,
}

/// The name of the delay, which changed with 5.0.
pub fn delay_name(version: (u32, u32)) -> &'static str {
    if version >= (5, 0) {
        "secondaryDelaySecs"
    } else {
        "slaveDelay"
    }
}

/// The host of a member's name.
pub fn host_of(name: &str) -> Option<HostName> {
    let (host, _) = name.rsplit_once(':')?;
    host.parse().ok()
}

fn put(fields: &mut Fields, name: &str, value: impl Into<Bson>) {
    let value = value.into();
    match fields.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => fields.push((name.to_owned(), value)),
    }
}

impl MemberConfig {
    /// A member with a number and a name, and the server's default for all else.
    pub fn new(id: i64, name: &str) -> Self {
        Self {
            fields: vec![("_id".to_owned(), id.into()), ("host".to_owned(), name.into())],
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Bson> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Gives a field a value.
    pub fn set(&mut self, name: &str, value: impl Into<Bson>) {
        put(&mut self.fields, name, value);
    }

    /// Its number, for as long as it is a member.
    pub fn id(&self) -> i64 {
        self.get("_id").and_then(Bson::as_int).unwrap_or(-1)
    }

    /// Its name: `host:port`.
    pub fn name(&self) -> &str {
        self.get("host").and_then(Bson::as_str).unwrap_or_default()
    }

    /// Whether it votes.
    pub fn votes(&self) -> bool {
        self.get("votes").and_then(Bson::as_int) != Some(0)
    }

    /// Its weight in elections.
    pub fn priority(&self) -> f64 {
        let default = if self.is_arbiter() { 0.0 } else { 1.0 };
        self.get("priority").and_then(Bson::as_f64).unwrap_or(default)
    }

    /// Whether it keeps no data.
    pub fn is_arbiter(&self) -> bool {
        self.get("arbiterOnly").is_some_and(Bson::is_true)
    }

    /// Whether clients do not see it.
    pub fn is_hidden(&self) -> bool {
        self.get("hidden").is_some_and(Bson::is_true)
    }

    /// How far it stays behind on purpose, in seconds.
    pub fn delay(&self) -> i64 {
        let delay = self.get("secondaryDelaySecs").or(self.get("slaveDelay"));
        delay.and_then(Bson::as_int).unwrap_or(0)
    }

    /// Leaves a field to the server's default.
    pub fn unset(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    /// Whether its tags are these, in any order.
    pub fn has_tags(&self, wanted: &[(String, String)]) -> bool {
        let tags = self.get("tags").map(Bson::fields).unwrap_or_default();
        let tags: BTreeSet<(&str, &str)> = tags
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let wanted: BTreeSet<(&str, &str)> = wanted
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        tags == wanted
    }

    /// Grants its vote, or takes it. A value that means the same keeps its form.
    pub fn set_votes(&mut self, votes: bool) {
        if votes != self.votes() {
            self.set("votes", i64::from(votes));
        }
    }

    /// Changes its weight in elections. A value that means the same keeps its form.
    pub fn set_priority(&mut self, priority: f64) {
        if (priority - self.priority()).abs() > f64::EPSILON {
            // A whole number is written as one, as in a shell.
            match Bson::double(priority).as_int() {
                Some(whole) => self.set("priority", whole),
                None => self.set("priority", Bson::double(priority)),
            }
        }
    }
}

impl SetConfig {
    /// The configuration that a server showed.
    pub fn read(document: &Bson) -> Self {
        Self {
            fields: document.fields().to_vec(),
        }
    }

    /// The first configuration of a set.
    pub fn first(set: &str, members: Vec<MemberConfig>) -> Self {
        let members = members.into_iter().map(|member| Bson::Doc(member.fields));
        Self {
            fields: vec![
                ("_id".to_owned(), set.into()),
                ("version".to_owned(), 1.into()),
                ("members".to_owned(), Bson::Array(members.collect())),
            ],
        }
    }

    /// The document.
    pub fn document(&self) -> Bson {
        Bson::Doc(self.fields.clone())
    }

    /// The value at a dotted path.
    pub fn get(&self, path: &str) -> Option<&Bson> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let (_, value) = self.fields.iter().find(|(name, _)| name == first)?;
        if rest.is_empty() {
            Some(value)
        } else {
            value.get(rest)
        }
    }

    /// The name of the set.
    pub fn name(&self) -> &str {
        self.get("_id").and_then(Bson::as_str).unwrap_or_default()
    }

    /// Its number, which grows with each change.
    pub fn version(&self) -> i64 {
        self.get("version").and_then(Bson::as_int).unwrap_or(0)
    }

    /// The term of the primary that made it.
    pub fn term(&self) -> Option<i64> {
        self.get("term").and_then(Bson::as_int)
    }

    /// The id in which sets of one name differ.
    pub fn set_id(&self) -> Option<&Bson> {
        self.get("settings.replicaSetId")
    }

    /// The same without a term: equal for each primary that could have made it.
    #[must_use]
    pub fn in_any_term(mut self) -> Self {
        self.fields.retain(|(name, _)| name != "term");
        self
    }

    /// The same, as the primary of a term writes it.
    #[must_use]
    pub fn in_term(mut self, term: i64) -> Self {
        put(&mut self.fields, "term", term);
        self
    }

    /// The same, of the set with this id.
    #[must_use]
    pub fn with_set_id(mut self, id: &str) -> Self {
        let id = Bson::doc([("replicaSetId", Bson::ObjectId(id.to_owned()))]);
        put(&mut self.fields, "settings", id);
        self
    }

    /// Its members.
    pub fn members(&self) -> Vec<MemberConfig> {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        members
            .iter()
            .map(|member| MemberConfig {
                fields: member.fields().to_vec(),
            })
            .collect()
    }

    /// A member by its name.
    pub fn member(&self, name: &str) -> Option<MemberConfig> {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        let is_it = |member: &&Bson| member.get("host").and_then(Bson::as_str) == Some(name);
        members.iter().find(is_it).map(|member| MemberConfig {
            fields: member.fields().to_vec(),
        })
    }

    /// How many members vote.
    pub fn voters(&self) -> usize {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        let votes = |member: &&Bson| member.get("votes").and_then(Bson::as_int) != Some(0);
        members.iter().filter(votes).count()
    }

    /// The next configuration, with these members.
    #[must_use]
    pub fn next(&self, members: Vec<MemberConfig>) -> Self {
        let mut next = self.clone();
        put(&mut next.fields, "version", self.version().saturating_add(1));
        let members = members.into_iter().map(|member| Bson::Doc(member.fields));
        put(&mut next.fields, "members", Bson::Array(members.collect()));
        next
    }

    /// A number that no member has. The numbers of those that are going stay theirs while they are there.
    pub fn free_id(&self, members: &[MemberConfig]) -> i64 {
        let old = self.members();
        let used = members.iter().chain(&old).map(MemberConfig::id);
        used.max().map_or(0, |most| most.saturating_add(1))
    }
}
