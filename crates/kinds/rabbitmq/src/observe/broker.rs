//! A running broker, as it tells of itself and its cluster.

use std::collections::BTreeSet;

use crate::settings::{NodeName, Permission};

/// The members of a node's cluster, itself among them; empty where it never ran. The error says why that is not known.
pub(crate) type Told = Result<BTreeSet<NodeName>, String>;

/// A running broker's answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Broker {
    /// Its version, e.g. `3.10.8`.
    pub(crate) version: String,
    /// All members of its cluster, itself among them.
    pub(crate) members: BTreeSet<NodeName>,
    /// Those of them that it sees running.
    pub(crate) running: BTreeSet<NodeName>,
    /// Members that it was partitioned from.
    pub(crate) partitions: BTreeSet<NodeName>,
    /// Alarms in force, e.g. `{resource_limit,disk,rabbit@db1}`.
    pub(crate) alarms: Vec<String>,
    pub(crate) vhosts: Vec<String>,
    pub(crate) policies: Vec<SeenPolicy>,
    /// Queues as `vhost` and `name`.
    pub(crate) queues: Vec<(String, String)>,
    pub(crate) users: Vec<SeenUser>,
    /// Why it does not tell all of these.
    pub(crate) untold: Option<String>,
    /// The permissions of users, where the inventory names users.
    pub(crate) permissions: Vec<SeenPermission>,
    /// For each user of the inventory, whether it has our password; `None` where that could not be asked.
    pub(crate) passwords: Vec<Option<bool>>,
    /// The type of queues that clients of each virtual host get who name none, as far as it is told.
    pub(crate) queue_types: Vec<(String, String)>,
    /// Feature flags of its version that are not enabled in the cluster yet.
    pub(crate) disabled_flags: Vec<String>,
    /// Whether it is in maintenance mode: it takes no clients.
    pub(crate) is_drained: bool,
    /// Mirrored queues led by this node that have no synchronised mirror.
    pub(crate) unsynchronised: Vec<String>,
}

/// A policy as the cluster has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenPolicy {
    pub(crate) vhost: String,
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) definition: serde_json::Map<String, serde_json::Value>,
    pub(crate) priority: i64,
    pub(crate) apply_to: String,
}

/// A user as the cluster has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenUser {
    pub(crate) name: String,
    /// Sorted.
    pub(crate) tags: Vec<String>,
}

/// A permission of a user, as the cluster has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenPermission {
    pub(crate) user: String,
    pub(crate) permission: Permission,
}

impl Broker {
    /// Whether it is in a cluster with others.
    pub(crate) fn is_clustered(&self) -> bool {
        self.members.len() > 1
    }

    /// Something in the broker that a reset would destroy; `None` where it is empty.
    pub(crate) fn possession(&self) -> Option<String> {
        if let Some(why) = &self.untold {
            return Some(format!("what it does not tell ({why})"));
        }
        if let Some((vhost, queue)) = self.queues.first() {
            let more = match self.queues.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            return Some(format!("the queue {queue:?} in the virtual host {vhost:?}{more}"));
        }
        if let Some(vhost) = self.vhosts.iter().find(|vhost| *vhost != "/") {
            return Some(format!("the virtual host {vhost:?}"));
        }
        if let Some(user) = self.users.iter().find(|user| user.name != "guest") {
            return Some(format!("the user {:?}", user.name));
        }
        self.policies.first().map(|policy| {
            format!(
                "the policy {:?} in the virtual host {:?}",
                policy.name, policy.vhost
            )
        })
    }

    /// Whether classic queues can have mirrors: until 4.0.
    pub(crate) fn has_mirrors(&self) -> bool {
        self.is_before((4, 0, 0))
    }

    /// Whether Khepri may have taken Mnesia's place: since 3.13.
    pub(crate) fn may_have_khepri(&self) -> bool {
        self.version.is_empty() || !self.is_before((3, 13, 0))
    }

    /// Whether its version is before another; one that it does not tell is.
    pub(crate) fn is_before(&self, version: (u32, u32, u32)) -> bool {
        is_before(&self.version, version)
    }
}

/// Whether a version, a broker's or a package's, is before another; one that is not known is.
pub(crate) fn is_before(version: &str, other: (u32, u32, u32)) -> bool {
    let numbers = version.split(['.', '-', '+', '~']);
    let mut numbers = numbers.map_while(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next();
    let Some(major) = next() else { return true };
    (major, next().unwrap_or(0), next().unwrap_or(0)) < other
}
