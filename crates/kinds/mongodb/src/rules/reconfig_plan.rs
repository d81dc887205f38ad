//! The way from the configuration of a set that is in force to the one that is wanted.
//!
//! A set cannot be changed at once: each new configuration must share a majority with the one before it, or two
//! primaries could be elected. So at most one vote changes at a time, a newcomer has none before it has the data, and
//! each configuration is committed by a majority before the next
//! (<https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/>). The whole way is planned beforehand, as
//! a chain of documents.

use formats::replset::{Member, SetConfig, delay_name};
use types::HostName;

use crate::rules::desired_members::{newcomer, set_plain, target_priority, target_votes};
use crate::settings::Settings;
use crate::settings::member_options::MemberOptions;

/// How many members of a set may vote.
const MOST_VOTERS: usize = 7;

/// One stage of the way to the wanted configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
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
pub(crate) struct Situation<'a> {
    /// Hosts that may become members now: they were reached, and nothing speaks against them.
    pub(crate) may_join: &'a dyn Fn(&HostName) -> bool,
    /// Members that are known to have the data.
    pub(crate) has_data: &'a dyn Fn(&HostName) -> bool,
    /// Whether the set has an explicit default write concern.
    pub(crate) has_write_concern: bool,
    /// The servers' version.
    pub(crate) version: (u32, u32),
}

/// The way from a configuration to the wanted one.
pub(crate) fn way(settings: &Settings, from: &SetConfig, situation: &Situation<'_>) -> Vec<Stage> {
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
pub(crate) fn without(config: &SetConfig, name: &str) -> SetConfig {
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
            let votes = target_votes(member, options);
            set_plain(member, options, delay);
            if before.votes() {
                // Whoever loses the vote, in a later stage, loses the priority first: one that is hidden has none.
                let priority = if votes {
                    target_priority(member, options)
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
                members.push(newcomer(id, &name, options, delay));
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
            if member.votes() || !target_votes(&member, &options) || self.now.voters() >= MOST_VOTERS {
                continue;
            }
            if !(self.situation.has_data)(&host) {
                self.stages.push(Stage::Sync(host.clone()));
            }
            let priority = target_priority(&member, &options);
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
            if !member.votes() || target_votes(&member, &options) {
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
            members.push(newcomer(id, &name, options, delay));
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
