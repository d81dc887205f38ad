//! The changes from the configuration in force to the one that the inventory wants.
//!
//! A set cannot be changed at once: each new configuration must share a majority with the one before it, or two
//! primaries could be elected. So at most one vote changes at a time, a joining member has none before it has the data,
//! and each configuration is committed by a majority before the next
//! (<https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/>). All changes are planned beforehand, as a
//! chain of documents.

use formats::replset::{MemberConfig, SetConfig, delay_name};
use types::HostName;

use super::desired_members::{desired_priority, joining_member, set_options, should_vote};
use crate::observe::Names;
use crate::settings::{MemberOptions, Settings};

/// How many members of a set may vote.
const MOST_VOTERS: usize = 7;

/// One change, or what must be so before the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// The member must have the data first.
    InitialSync(HostName),
    /// Arbiters weaken the default write concern, so the server wants an explicit one before the first of them.
    WriteConcern(WriteConcern),
    /// The next configuration.
    Reconfig(Reconfig),
}

/// How many members must have a write before it is acknowledged, where a client does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteConcern {
    /// The primary.
    One,
    /// A majority.
    Majority,
}

/// A change of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reconfig {
    /// The configuration that it changes.
    pub(crate) from: SetConfig,
    /// The new one.
    pub(crate) to: SetConfig,
    /// The change in words.
    pub(crate) title: String,
    /// Why.
    pub(crate) reason: String,
}

/// The state of the members, as far as the changes depend on it.
pub(crate) struct Situation<'a> {
    /// The names of the hosts' members.
    pub(crate) names: &'a Names,
    /// Hosts that may become members now: they were reached, and nothing speaks against them.
    pub(crate) may_join: &'a dyn Fn(&HostName) -> bool,
    /// Members that are known to have the data.
    pub(crate) has_data: &'a dyn Fn(&HostName) -> bool,
    /// Whether the set has an explicit default write concern.
    pub(crate) has_write_concern: bool,
    /// The servers' version.
    pub(crate) version: (u32, u32),
}

/// The changes from a configuration to the one that the inventory wants.
pub(crate) fn reconfig_plan(settings: &Settings, from: &SetConfig, situation: &Situation<'_>) -> Vec<Change> {
    let mut plan = ReconfigPlan {
        settings,
        situation,
        config: from.clone(),
        changes: Vec::new(),
    };
    plan.change_options();
    plan.grant_votes();
    plan.revoke_votes();
    plan.add_arbiters();
    plan.changes
}

impl Reconfig {
    /// Removes a member.
    pub(crate) fn removal(from: SetConfig, name: &str, reason: &str) -> Self {
        let mut members = from.members();
        members.retain(|member| member.name() != name);
        Self {
            to: from.next(members),
            from,
            title: format!("remove {name} from the set"),
            reason: reason.to_owned(),
        }
    }
}

struct ReconfigPlan<'a> {
    settings: &'a Settings,
    situation: &'a Situation<'a>,
    /// The configuration after all changes so far.
    config: SetConfig,
    changes: Vec<Change>,
}

impl ReconfigPlan<'_> {
    fn push(&mut self, members: Vec<MemberConfig>, title: String, reason: &str) {
        let to = self.config.next(members);
        self.changes.push(Change::Reconfig(Reconfig {
            from: std::mem::replace(&mut self.config, to.clone()),
            to,
            title,
            reason: reason.to_owned(),
        }));
    }

    /// The members that the inventory describes, with what it says of them.
    fn described(&self) -> Vec<(MemberConfig, HostName, MemberOptions)> {
        let members = self.config.members().into_iter();
        let members = members.filter_map(|member| {
            let host = self.situation.names.host_of(member.name())?.clone();
            let options = self.settings.options(&host)?.clone();
            Some((member, host, options))
        });
        members.filter(|(member, ..)| !member.is_arbiter()).collect()
    }

    /// Adds joining members without a vote, and changes all but votes, at once.
    fn change_options(&mut self) {
        let mut members = self.config.members();
        let changed = self.changed(&mut members);
        let added = self.added(&mut members);
        let (title, reason) = match (added.is_empty(), changed.is_empty()) {
            (true, true) => return,
            (false, true) => (
                format!("add {} without a vote", added.join(" and ")),
                "not in the set yet",
            ),
            (true, false) => (
                format!("change the settings of {} in the set", changed.join(" and ")),
                "the inventory describes them differently",
            ),
            (false, false) => (
                format!(
                    "add {} without a vote, and change the settings of {}",
                    added.join(" and "),
                    changed.join(" and ")
                ),
                "not in the set yet, or described differently by the inventory",
            ),
        };
        self.push(members, title, reason);
    }

    /// Changes what the inventory describes differently, and returns the hosts.
    fn changed(&self, members: &mut [MemberConfig]) -> Vec<String> {
        let delay = delay_name(self.situation.version);
        let mut changed = Vec::new();
        for member in members.iter_mut().filter(|member| !member.is_arbiter()) {
            let host = self.situation.names.host_of(member.name());
            let Some((host, options)) = host.and_then(|host| Some((host, self.settings.options(host)?)))
            else {
                continue;
            };
            let before = member.clone();
            let votes = should_vote(member, options);
            set_options(member, options, delay);
            if before.votes() {
                // A member that loses the vote, in a later change, loses the priority first: a hidden one has none.
                let priority = if votes {
                    desired_priority(member, options)
                } else {
                    0.0
                };
                member.set_priority(priority);
            }
            if *member != before {
                changed.push(host.to_string());
            }
        }
        changed
    }

    /// Adds joining members, and returns the hosts.
    fn added(&self, members: &mut Vec<MemberConfig>) -> Vec<String> {
        let delay = delay_name(self.situation.version);
        let mut added = Vec::new();
        for (host, options) in self.settings.hosts.iter().zip(&self.settings.members) {
            let name = self.situation.names.of(host);
            let is_known = members.iter().any(|member| member.name() == name);
            if !is_known && !options.is_arbiter && (self.situation.may_join)(host) {
                let id = self.config.free_id(members);
                members.push(joining_member(id, name, options, delay));
                added.push(host.to_string());
            }
        }
        added
    }

    /// Grants votes to members that have the data, one after another.
    fn grant_votes(&mut self) {
        for (member, host, options) in self.described() {
            if member.votes() || !should_vote(&member, &options) || self.config.voters() >= MOST_VOTERS {
                continue;
            }
            if !(self.situation.has_data)(&host) {
                self.changes.push(Change::InitialSync(host.clone()));
            }
            let priority = desired_priority(&member, &options);
            let title = if priority > 0.0 {
                format!("grant {host} a vote and priority {priority}")
            } else {
                format!("grant {host} a vote")
            };
            let members = self.changing(member.name(), |member| {
                member.set_votes(true);
                member.set_priority(priority);
            });
            self.push(members, title, "it has the data by then");
        }
    }

    /// Revokes votes, one after another.
    fn revoke_votes(&mut self) {
        for (member, host, options) in self.described() {
            if !member.votes() || should_vote(&member, &options) {
                continue;
            }
            let members = self.changing(member.name(), |member| {
                member.set_priority(0.0);
                member.set_votes(false);
            });
            let title = format!("revoke the vote of {host}");
            self.push(members, title, "the inventory gives it none");
        }
    }

    fn add_arbiters(&mut self) {
        let delay = delay_name(self.situation.version);
        for (host, options) in self.settings.hosts.iter().zip(&self.settings.members) {
            let name = self.situation.names.of(host);
            if !options.is_arbiter || self.config.member(name).is_some() || !(self.situation.may_join)(host) {
                continue;
            }
            let mut members = self.config.members();
            let id = self.config.free_id(&members);
            members.push(joining_member(id, name, options, delay));
            let is_given = |change: &Change| matches!(change, Change::WriteConcern(_));
            let is_first = !self.changes.iter().any(is_given);
            // The server asks for it since 5.0, where the default became "majority".
            if is_first && !self.situation.has_write_concern && self.situation.version >= (5, 0) {
                self.changes
                    .push(Change::WriteConcern(implicit_default(&members)));
            }
            self.push(members, format!("add the arbiter {host}"), "not in the set yet");
        }
    }

    fn changing(&self, name: &str, change: impl Fn(&mut MemberConfig)) -> Vec<MemberConfig> {
        let mut members = self.config.members();
        for member in members.iter_mut().filter(|member| member.name() == name) {
            change(member);
        }
        members
    }
}

/// The default that the server would take by itself for members with arbiters: the majority only where it is still reached
/// without one of those that hold data
/// (<https://www.mongodb.com/docs/manual/reference/mongodb-defaults/#write-concern>).
fn implicit_default(members: &[MemberConfig]) -> WriteConcern {
    let voters = members.iter().filter(|member| member.votes()).count();
    let arbiters = members.iter().filter(|member| member.is_arbiter()).count();
    if voters.saturating_sub(arbiters) > kit::majority(voters) {
        WriteConcern::Majority
    } else {
        WriteConcern::One
    }
}
