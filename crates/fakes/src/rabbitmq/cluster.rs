//! What members of a cluster share: virtual hosts, users, policies, and where each queue's copies are.
//!
//! All members that run have the same database, so it is kept once. What each of them has of a queue's messages is kept
//! for each.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A virtual host and a name in it.
pub(super) type Name = (String, String);

/// A cluster; one node alone is one too.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    /// Names of nodes: `rabbit@db1`.
    pub(super) members: BTreeSet<String>,
    /// Those of them that have run in it: one that is about to is missed by nobody, for whether a minority is left is asked
    /// when somebody goes down (`rabbit_node_monitor`).
    pub(super) known: BTreeSet<String>,
    pub(super) vhosts: BTreeSet<String>,
    pub(super) users: BTreeMap<String, User>,
    /// Patterns to configure, write and read, by user and virtual host.
    pub(super) permissions: BTreeMap<(String, String), [String; 3]>,
    pub(super) policies: BTreeMap<Name, Policy>,
    pub(super) queues: BTreeMap<Name, Queue>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct User {
    pub(super) password: String,
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) pattern: String,
    pub(super) definition: Map<String, Value>,
    pub(super) priority: i64,
    pub(super) apply_to: String,
}

/// A queue with its messages, oldest first.
#[derive(Debug, Clone)]
pub(super) enum Queue {
    Quorum {
        /// By node.
        members: BTreeMap<String, Copy>,
        leader: Option<String>,
        /// When there is another leader.
        elect_us: Option<i64>,
    },
    /// Mirrored where a policy says so.
    Classic {
        leader: String,
        log: Vec<u64>,
        /// By node; a mirror that is away is none.
        mirrors: BTreeMap<String, Copy>,
    },
}

/// What one node has of a queue's messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Copy {
    pub(super) log: Vec<u64>,
    /// Whether it has all of them.
    pub(super) is_whole: bool,
    /// When it will have, where that is under way.
    pub(super) whole_us: Option<i64>,
}

impl Copy {
    pub(super) fn whole(log: Vec<u64>) -> Self {
        Self {
            log,
            is_whole: true,
            whole_us: None,
        }
    }
}

impl Cluster {
    /// A node that was never used.
    pub(super) fn fresh(node: String) -> Self {
        let guest = User {
            password: "guest".to_owned(),
            tags: vec!["administrator".to_owned()],
        };
        let all = [".*", ".*", ".*"].map(str::to_owned);
        Self {
            members: BTreeSet::from([node]),
            vhosts: BTreeSet::from(["/".to_owned()]),
            users: BTreeMap::from([("guest".to_owned(), guest)]),
            permissions: BTreeMap::from([(("guest".to_owned(), "/".to_owned()), all)]),
            ..Self::default()
        }
    }

    /// What somebody made in it: what its end would destroy.
    pub(super) fn possessions(&self) -> Vec<String> {
        let queues = self
            .queues
            .keys()
            .map(|(vhost, name)| format!("the queue {name} in {vhost}"));
        let users = self.users.keys().filter(|name| *name != "guest");
        let vhosts = self.vhosts.iter().filter(|name| *name != "/");
        let policies = self.policies.keys().map(|(_, name)| format!("the policy {name}"));
        queues
            .chain(users.map(|name| format!("the user {name}")))
            .chain(vhosts.map(|name| format!("the virtual host {name}")))
            .chain(policies)
            .collect()
    }

    /// The definition of the policy that holds for a queue: of those that match, that with the highest priority.
    fn policy(&self, (vhost, queue): &Name) -> Option<&Policy> {
        let of_vhost = self.policies.iter().filter(|((at, _), _)| at == vhost);
        let matching = of_vhost.map(|(_, policy)| policy).filter(|policy| {
            let applies = ["all", "queues"].contains(&policy.apply_to.as_str());
            applies && Regex::new(&policy.pattern).is_ok_and(|pattern| pattern.is_match(queue))
        });
        matching.max_by_key(|policy| policy.priority)
    }

    /// Whether a classic queue of that name has mirrors on all members.
    pub(super) fn is_mirrored(&self, name: &Name) -> bool {
        let mode = self
            .policy(name)
            .and_then(|policy| policy.definition.get("ha-mode"));
        mode.is_some_and(|mode| mode == "all")
    }

    /// Whether new mirrors are filled by themselves.
    pub(super) fn is_filled(&self, name: &Name) -> bool {
        let mode = self
            .policy(name)
            .and_then(|policy| policy.definition.get("ha-sync-mode"));
        mode.is_some_and(|mode| mode == "automatic")
    }
}

impl Queue {
    /// Whether more than half of a quorum queue's members are among these, or a classic queue's leader.
    pub(super) fn is_available(&self, alive: &BTreeSet<String>) -> bool {
        match self {
            Self::Quorum { members, .. } => {
                let here = members.keys().filter(|node| alive.contains(*node)).count();
                here * 2 > members.len()
            }
            Self::Classic { leader, .. } => alive.contains(leader),
        }
    }

    /// A node's broker stopped, in order or not; `alive` are those that still run.
    pub(super) fn lose(&mut self, node: &str, in_order: bool, alive: &BTreeSet<String>) {
        match self {
            Self::Quorum { members, leader, .. } => {
                if let Some(copy) = members.get_mut(node) {
                    copy.is_whole = false;
                    copy.whole_us = None;
                }
                if leader.as_deref() == Some(node) {
                    *leader = None;
                }
            }
            Self::Classic { leader, log, mirrors } => {
                if leader != node {
                    mirrors.remove(node);
                    return;
                }
                let here = |(mirror, _): &(&String, &Copy)| alive.contains(*mirror);
                let synced = mirrors.iter().find(|mirror| here(mirror) && mirror.1.is_whole);
                // ha-promote-on-shutdown is when-synced and ha-promote-on-failure is always, unless a policy says so.
                let next = synced.or_else(|| mirrors.iter().filter(|_| !in_order).find(here));
                let Some(next) = next.map(|(mirror, _)| mirror.clone()) else {
                    return;
                };
                *log = mirrors.remove(&next).map(|copy| copy.log).unwrap_or_default();
                // The others copy anew from a leader that has not all.
                *leader = next;
            }
        }
    }

    /// A node's disk is lost.
    pub(super) fn lose_copy(&mut self, node: &str) {
        let copies = match self {
            Self::Quorum { members, .. } => members,
            Self::Classic { mirrors, .. } => mirrors,
        };
        if let Some(copy) = copies.get_mut(node) {
            *copy = Copy::default();
        }
    }

    /// A quorum queue's member that has more than the others can be the next leader.
    pub(super) fn elect(&mut self, alive: &BTreeSet<String>) -> bool {
        let is_available = self.is_available(alive);
        let Self::Quorum { members, leader, .. } = self else {
            return false;
        };
        if !is_available {
            return false;
        }
        let candidates = members.iter().filter(|(node, _)| alive.contains(*node));
        let Some((next, copy)) = candidates.max_by_key(|(_, copy)| copy.log.len()) else {
            return false;
        };
        let (next, log) = (next.clone(), copy.log.clone());
        if let Some(copy) = members.get_mut(&next) {
            *copy = Copy::whole(log);
        }
        *leader = Some(next);
        true
    }

    /// A client publishes; whether it was confirmed.
    pub(super) fn publish(&mut self, value: u64, alive: &BTreeSet<String>) -> bool {
        match self {
            Self::Quorum { members, leader, .. } => {
                if leader.as_ref().is_none_or(|leader| !alive.contains(leader)) {
                    return false;
                }
                let size = members.len();
                let followers = members
                    .iter_mut()
                    .filter(|(node, copy)| alive.contains(*node) && copy.is_whole);
                let logs: Vec<&mut Vec<u64>> = followers.map(|(_, copy)| &mut copy.log).collect();
                let is_confirmed = logs.len() * 2 > size;
                if is_confirmed {
                    for log in logs {
                        log.push(value);
                    }
                }
                is_confirmed
            }
            Self::Classic { leader, log, mirrors } => {
                let is_up = alive.contains(leader);
                if is_up {
                    log.push(value);
                    for copy in mirrors.values_mut() {
                        copy.log.push(value);
                    }
                }
                is_up
            }
        }
    }
}
