//! What the journal keeps of a run, as it is handed in and out. Times are microseconds since 1970.

use std::collections::BTreeSet;

use plan::{Event, Node, Outcome};
use serde::{Deserialize, Serialize};
use types::{GroupId, HostName, NodeId, RunId};

/// A run as it is known when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// Its id.
    pub run: RunId,
    /// When it began.
    pub started_us: i64,
    /// The operator: `user@controller`.
    pub who: String,
    /// The command as it was typed.
    pub command: String,
    /// The inventory's path.
    pub inventory: String,
    /// The nodes, in the plan's order.
    pub nodes: Vec<RunNode>,
}

/// As much of a plan's node as is needed to tell later what happened: its words, not its action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNode {
    /// Its name, by which events refer to it.
    pub node: NodeId,
    /// Its host.
    pub host: HostName,
    /// The title of its action.
    pub title: String,
    /// What must be done before.
    pub needs: BTreeSet<NodeId>,
    /// The quorum groups of which it makes a member unavailable.
    pub disrupts: BTreeSet<GroupId>,
}

/// How and when a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd {
    /// When.
    pub at_us: i64,
    /// How.
    pub outcome: Outcome,
}

/// A run in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// When it began.
    pub started_us: i64,
    /// The operator.
    pub who: String,
    /// The command as it was typed.
    pub command: String,
    /// The inventory's path.
    pub inventory: String,
    /// How many nodes were to be run.
    pub nodes: usize,
    /// When the last event was noted; the beginning where there is none.
    pub last_us: i64,
    /// Its end; `None` where it is unfinished: it was killed, or it is under way right now.
    pub end: Option<RunEnd>,
}

/// A run with everything that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// What was known when it began.
    pub info: RunInfo,
    /// What happened, and when, in order.
    pub events: Vec<(i64, Event)>,
    /// Its end; `None` where it is unfinished.
    pub end: Option<RunEnd>,
}

impl From<&Node> for RunNode {
    fn from(node: &Node) -> Self {
        Self {
            node: node.id.clone(),
            host: node.host.clone(),
            title: node.title.clone(),
            needs: node.needs.clone(),
            disrupts: node.disrupts.clone(),
        }
    }
}
