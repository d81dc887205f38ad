//! The set's configuration document, and the way from the one that is in force to the one that is wanted.
//!
//! A set cannot be changed at once: each new configuration must share a majority with the one before it, or two
//! primaries could be elected. So at most one vote changes at a time, a newcomer has none before it has the data, and
//! each configuration is committed by a majority before the next
//! (<https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/>). The whole way is planned beforehand, as
//! a chain of documents.

use std::collections::BTreeSet;

use protocol::facts::{Bson, Fields};
use types::HostName;

use super::options::MemberOptions;
use super::settings::Settings;

/// A configuration of the set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SetConfig {
    fields: Fields,
}

/// One member in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    fields: Fields,
}

/// What the server calls the delay: the name changed with 5.0.
pub(super) fn delay_name(version: (u32, u32)) -> &'static str {
    if version >= (5, 0) {
        "secondaryDelaySecs"
    } else {
        "slaveDelay"
    }
}

/// The host of a member's name.
pub(super) fn host_of(name: &str) -> Option<HostName> {
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

impl Member {
    /// A newcomer: without a vote, and never the primary.
    fn newcomer(id: i64, name: &str, options: &MemberOptions, delay: &str) -> Self {
        let mut member = Self {
            fields: vec![("_id".to_owned(), id.into()), ("host".to_owned(), name.into())],
        };
        if options.is_arbiter {
            member.set("arbiterOnly", true);
            member.set("priority", 0);
            return member;
        }
        member.set("priority", 0);
        member.set("votes", 0);
        member.set_plain(options, delay);
        member
    }

    fn get(&self, name: &str) -> Option<&Bson> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: impl Into<Bson>) {
        put(&mut self.fields, name, value);
    }

    /// Its number, for as long as it is a member.
    pub(super) fn id(&self) -> i64 {
        self.get("_id").and_then(Bson::as_int).unwrap_or(-1)
    }

    /// Its name: `host:port`.
    pub(super) fn name(&self) -> &str {
        self.get("host").and_then(Bson::as_str).unwrap_or_default()
    }

    /// Whether it votes.
    pub(super) fn votes(&self) -> bool {
        self.get("votes").and_then(Bson::as_int) != Some(0)
    }

    /// Its weight in elections.
    pub(super) fn priority(&self) -> f64 {
        let default = if self.is_arbiter() { 0.0 } else { 1.0 };
        self.get("priority").and_then(Bson::as_f64).unwrap_or(default)
    }

    /// Whether it keeps no data.
    pub(super) fn is_arbiter(&self) -> bool {
        self.get("arbiterOnly").is_some_and(Bson::is_true)
    }

    /// Whether clients do not see it.
    pub(super) fn is_hidden(&self) -> bool {
        self.get("hidden").is_some_and(Bson::is_true)
    }

    /// How far it stays behind on purpose, in seconds.
    pub(super) fn delay(&self) -> i64 {
        let delay = self.get("secondaryDelaySecs").or(self.get("slaveDelay"));
        delay.and_then(Bson::as_int).unwrap_or(0)
    }

    fn has_tags(&self, wanted: &[(String, String)]) -> bool {
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

    /// What can be changed at any time: all but votes and priority. Values that are so already keep their form.
    fn set_plain(&mut self, options: &MemberOptions, delay: &str) {
        if let Some(hidden) = options.hidden
            && hidden != self.is_hidden()
        {
            self.set("hidden", hidden);
        }
        if let Some(seconds) = options.delay_s
            && seconds != self.delay()
        {
            self.set(delay, seconds);
        }
        if let Some(tags) = &options.tags
            && !self.has_tags(tags)
        {
            let tags = tags
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()));
            self.set("tags", Bson::Doc(tags.collect()));
        }
    }

    fn set_votes(&mut self, votes: bool) {
        if votes != self.votes() {
            self.set("votes", i64::from(votes));
        }
    }

    fn set_priority(&mut self, priority: f64) {
        if (priority - self.priority()).abs() > f64::EPSILON {
            // A whole number is written as one, as in a shell.
            match Bson::double(priority).as_int() {
                Some(whole) => self.set("priority", whole),
                None => self.set("priority", Bson::double(priority)),
            }
        }
    }

    /// Whether it should vote. What the inventory does not say is kept, but for a member without vote and priority that
    /// is neither hidden nor delayed: that is a newcomer whose rise was cut off.
    fn target_votes(&self, options: &MemberOptions) -> bool {
        let is_described = options.hidden.is_some() || options.delay_s.is_some();
        let is_special = self.is_hidden() || self.delay() > 0;
        options
            .votes
            .unwrap_or(self.votes() || is_described || !is_special)
    }

    fn target_priority(&self, options: &MemberOptions) -> f64 {
        let is_passive = MemberOptions {
            priority: None,
            ..options.clone()
        }
        .is_passive();
        if is_passive || self.is_hidden() || self.delay() > 0 {
            return 0.0;
        }
        // A member that had no vote could have no priority.
        let kept = if self.votes() { self.priority() } else { 1.0 };
        options.priority.unwrap_or(kept)
    }
}

impl SetConfig {
    /// The configuration that a server showed.
    pub(super) fn read(document: &Bson) -> Self {
        Self {
            fields: document.fields().to_vec(),
        }
    }

    /// The first one of all: the seed votes and becomes the primary; the others are newcomers, which rise once they have
    /// the data. So it is known beforehand who becomes the primary, on whose host the users are made, and what the seed
    /// holds is never outvoted. Arbiters come last.
    pub(super) fn first(settings: &Settings, seed: &HostName, version: (u32, u32)) -> Self {
        let delay = delay_name(version);
        let mut members = Vec::new();
        for (host, options) in settings.hosts.iter().zip(&settings.members) {
            if options.is_arbiter {
                continue;
            }
            let id = i64::try_from(members.len()).unwrap_or(0);
            let name = settings.member_name(host);
            let mut member = Member::newcomer(id, &name, options, delay);
            if host == seed {
                member
                    .fields
                    .retain(|(name, _)| name != "votes" && name != "priority");
                member.set_priority(options.priority.unwrap_or(1.0));
            }
            members.push(Bson::Doc(member.fields));
        }
        Self {
            fields: vec![
                ("_id".to_owned(), settings.replica_set.as_str().into()),
                ("version".to_owned(), 1.into()),
                ("members".to_owned(), Bson::Array(members)),
            ],
        }
    }

    /// The document.
    pub(super) fn document(&self) -> Bson {
        Bson::Doc(self.fields.clone())
    }

    fn get(&self, path: &str) -> Option<&Bson> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let (_, value) = self.fields.iter().find(|(name, _)| name == first)?;
        if rest.is_empty() {
            Some(value)
        } else {
            value.get(rest)
        }
    }

    /// The name of the set.
    #[cfg(any(test, feature = "worlds"))]
    pub(super) fn name(&self) -> &str {
        self.get("_id").and_then(Bson::as_str).unwrap_or_default()
    }

    /// Its number, which grows with each change.
    pub(super) fn version(&self) -> i64 {
        self.get("version").and_then(Bson::as_int).unwrap_or(0)
    }

    /// The term of the primary that made it.
    pub(super) fn term(&self) -> Option<i64> {
        self.get("term").and_then(Bson::as_int)
    }

    /// What tells one set from another of the same name.
    pub(super) fn set_id(&self) -> Option<&Bson> {
        self.get("settings.replicaSetId")
    }

    /// The same, whoever was the primary that made it.
    pub(super) fn in_any_term(mut self) -> Self {
        self.fields.retain(|(name, _)| name != "term");
        self
    }

    /// The same, as the primary of a term writes it.
    #[cfg(any(test, feature = "worlds"))]
    pub(super) fn in_term(mut self, term: i64) -> Self {
        put(&mut self.fields, "term", term);
        self
    }

    /// The same, of the set with this id.
    #[cfg(any(test, feature = "worlds"))]
    pub(super) fn christened(mut self, id: &str) -> Self {
        let id = Bson::doc([("replicaSetId", Bson::ObjectId(id.to_owned()))]);
        put(&mut self.fields, "settings", id);
        self
    }

    /// Its members.
    pub(super) fn members(&self) -> Vec<Member> {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        members
            .iter()
            .map(|member| Member {
                fields: member.fields().to_vec(),
            })
            .collect()
    }

    /// A member by its name.
    pub(super) fn member(&self, name: &str) -> Option<Member> {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        let is_it = |member: &&Bson| member.get("host").and_then(Bson::as_str) == Some(name);
        members.iter().find(is_it).map(|member| Member {
            fields: member.fields().to_vec(),
        })
    }

    /// How many members vote.
    pub(super) fn voters(&self) -> usize {
        let members = self.get("members").map(Bson::items).unwrap_or_default();
        let votes = |member: &&Bson| member.get("votes").and_then(Bson::as_int) != Some(0);
        members.iter().filter(votes).count()
    }

    /// The next configuration, with these members.
    fn next(&self, members: Vec<Member>) -> Self {
        let mut next = self.clone();
        put(&mut next.fields, "version", self.version().saturating_add(1));
        let members = members.into_iter().map(|member| Bson::Doc(member.fields));
        put(&mut next.fields, "members", Bson::Array(members.collect()));
        next
    }

    /// A number that no member has. The numbers of those that are going stay theirs while they are there.
    fn free_id(&self, members: &[Member]) -> i64 {
        let old = self.members();
        let used = members.iter().chain(&old).map(Member::id);
        used.max().map_or(0, |most| most.saturating_add(1))
    }
}

/// How many members of a set may vote.
const MOST_VOTERS: usize = 7;

/// One stage of the way to the wanted configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// The member must have the data first.
    Sync(HostName),
    /// Arbiters weaken the default write concern, so the server wants an explicit one before the first of them.
    WriteConcern,
    /// The next configuration.
    Reconfig {
        /// The one that it follows.
        from: SetConfig,
        /// The new one.
        to: SetConfig,
        /// What it changes, in words.
        title: String,
        /// Why.
        reason: String,
    },
}

/// What the way depends on, beside the settings.
pub(super) struct Situation<'a> {
    /// Hosts that may become members now: they were reached, and nothing speaks against them.
    pub(super) may_join: &'a dyn Fn(&HostName) -> bool,
    /// Members that are known to have the data.
    pub(super) has_data: &'a dyn Fn(&HostName) -> bool,
    /// Whether the set has an explicit default write concern.
    pub(super) has_write_concern: bool,
    /// The servers' version.
    pub(super) version: (u32, u32),
}

/// The way from a configuration to the wanted one.
pub(super) fn way(settings: &Settings, from: &SetConfig, situation: &Situation<'_>) -> Vec<Stage> {
    let mut way = Way {
        settings,
        situation,
        now: from.clone(),
        stages: Vec::new(),
    };
    way.plain();
    way.rise();
    way.resign();
    way.arbiters();
    way.stages
}

/// The next configuration, without a member.
pub(super) fn without(config: &SetConfig, name: &str) -> SetConfig {
    let mut members = config.members();
    members.retain(|member| member.name() != name);
    config.next(members)
}

struct Way<'a> {
    settings: &'a Settings,
    situation: &'a Situation<'a>,
    now: SetConfig,
    stages: Vec<Stage>,
}

impl Way<'_> {
    fn go(&mut self, members: Vec<Member>, title: impl Into<String>, reason: impl Into<String>) {
        let to = self.now.next(members);
        self.stages.push(Stage::Reconfig {
            from: std::mem::replace(&mut self.now, to.clone()),
            to,
            title: title.into(),
            reason: reason.into(),
        });
    }

    /// The members that the inventory describes, with what it says of them.
    fn described(&self) -> Vec<(Member, HostName, MemberOptions)> {
        let members = self.now.members().into_iter();
        let members = members.filter_map(|member| {
            let host = self.settings.host_of(member.name())?.clone();
            let options = self.settings.options(&host)?.clone();
            Some((member, host, options))
        });
        members.filter(|(member, ..)| !member.is_arbiter()).collect()
    }

    /// Newcomers without a vote, and all changes that change no vote, at once.
    fn plain(&mut self) {
        let delay = delay_name(self.situation.version);
        let mut members = self.now.members();
        let mut changed = Vec::new();
        for member in &mut members {
            let Some(host) = self.settings.host_of(member.name()) else {
                continue;
            };
            let Some(options) = self.settings.options(host).filter(|_| !member.is_arbiter()) else {
                continue;
            };
            let before = member.clone();
            let votes = member.target_votes(options);
            member.set_plain(options, delay);
            if before.votes() {
                // Whoever loses the vote, in a later stage, loses the priority first: one that is hidden has none.
                let priority = if votes {
                    member.target_priority(options)
                } else {
                    0.0
                };
                member.set_priority(priority);
            }
            if *member != before {
                changed.push(host.to_string());
            }
        }
        let mut added = Vec::new();
        for (host, options) in self.settings.hosts.iter().zip(&self.settings.members) {
            let name = self.settings.member_name(host);
            let is_known = members.iter().any(|member| member.name() == name);
            if !is_known && !options.is_arbiter && (self.situation.may_join)(host) {
                let id = self.now.free_id(&members);
                members.push(Member::newcomer(id, &name, options, delay));
                added.push(host.to_string());
            }
        }
        let (title, reason) = match (added.is_empty(), changed.is_empty()) {
            (true, true) => return,
            (false, true) => (
                format!("add {} without a vote", added.join(" and ")),
                "not in the set yet".to_owned(),
            ),
            (true, false) => (
                format!("change the settings of {} in the set", changed.join(" and ")),
                "the inventory describes them differently".to_owned(),
            ),
            (false, false) => (
                format!(
                    "add {} without a vote, and change the settings of {}",
                    added.join(" and "),
                    changed.join(" and ")
                ),
                "not in the set yet, or described differently by the inventory".to_owned(),
            ),
        };
        self.go(members, title, reason);
    }

    /// Votes for those that have the data, one after another.
    fn rise(&mut self) {
        for (member, host, options) in self.described() {
            if member.votes() || !member.target_votes(&options) || self.now.voters() >= MOST_VOTERS {
                continue;
            }
            if !(self.situation.has_data)(&host) {
                self.stages.push(Stage::Sync(host.clone()));
            }
            let priority = member.target_priority(&options);
            let members = self.with(member.name(), |member| {
                member.set_votes(true);
                member.set_priority(priority);
            });
            let title = if priority > 0.0 {
                format!("let {host} vote and be elected")
            } else {
                format!("let {host} vote")
            };
            self.go(members, title, "it has the data by then");
        }
    }

    /// Votes away, one after another.
    fn resign(&mut self) {
        for (member, host, options) in self.described() {
            if !member.votes() || member.target_votes(&options) {
                continue;
            }
            let members = self.with(member.name(), |member| {
                member.set_priority(0.0);
                member.set_votes(false);
            });
            self.go(
                members,
                format!("take the vote of {host}"),
                "the inventory gives it none",
            );
        }
    }

    fn arbiters(&mut self) {
        let delay = delay_name(self.situation.version);
        for (host, options) in self.settings.hosts.iter().zip(&self.settings.members) {
            let name = self.settings.member_name(host);
            if !options.is_arbiter || self.now.member(&name).is_some() || !(self.situation.may_join)(host) {
                continue;
            }
            let is_first = !self.stages.contains(&Stage::WriteConcern);
            // The server asks for it since 5.0, where the default became "majority".
            if is_first && !self.situation.has_write_concern && self.situation.version >= (5, 0) {
                self.stages.push(Stage::WriteConcern);
            }
            let mut members = self.now.members();
            let id = self.now.free_id(&members);
            members.push(Member::newcomer(id, &name, options, delay));
            self.go(members, format!("add the arbiter {host}"), "not in the set yet");
        }
    }

    fn with(&self, name: &str, change: impl Fn(&mut Member)) -> Vec<Member> {
        let mut members = self.now.members();
        for member in members.iter_mut().filter(|member| member.name() == name) {
            change(member);
        }
        members
    }
}
