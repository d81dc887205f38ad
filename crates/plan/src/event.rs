//! What happens during a run, in order: what the journal keeps, and what progress and reports are made of.
//!
//! Events carry no time; their receiver adds it, because only the outermost code has a clock.

use protocol::Change;
use serde::{Deserialize, Serialize};
use types::{GroupId, HostName, NodeId};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began, with so many nodes.
    RunStarted {
        /// Nodes in the graph.
        nodes: usize,
    },
    /// A node's action is sent to its host.
    NodeStarted {
        /// The node.
        node: NodeId,
        /// Its host.
        host: HostName,
    },
    /// A node waits: for a gate, or for a connection that was lost.
    NodeWaiting {
        /// The node.
        node: NodeId,
        /// For what, and what was last seen.
        why: String,
    },
    /// A node came to its end.
    NodeFinished {
        /// The node.
        node: NodeId,
        /// How.
        outcome: NodeOutcome,
    },
    /// The operator asked to stop.
    Interrupted,
    /// The run came to its end.
    RunFinished {
        /// How.
        outcome: Outcome,
    },
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum NodeOutcome {
    /// Its action was done and its gates passed.
    Done {
        /// What the action did; `None` for a node that only waits.
        change: Option<Change>,
    },
    /// It failed.
    Failed {
        /// How.
        failure: Failure,
    },
    /// It was not started.
    NotRun {
        /// Why.
        why: NotRun,
    },
}

impl From<Result<Option<Change>, Failure>> for NodeOutcome {
    fn from(result: Result<Option<Change>, Failure>) -> Self {
        match result {
            Ok(change) => Self::Done { change },
            Err(failure) => Self::Failed { failure },
        }
    }
}

/// How a node failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "kebab-case")]
pub enum Failure {
    /// A precondition no longer held; nothing was done.
    Changed {
        /// What changed.
        what: String,
    },
    /// A gate before the action did not pass; nothing was done.
    Blocked {
        /// The gate, in words.
        title: String,
        /// What was last seen.
        last: String,
    },
    /// The action failed or ran out of time.
    Action {
        /// The error of the agent.
        message: String,
    },
    /// The action was begun, and its end is not known: its connection was lost, and its agent or host went down. It is not
    /// repeated.
    CutOff {
        /// How far it came, if that is known.
        what: String,
    },
    /// A gate did not pass.
    Gate {
        /// The gate, in words.
        title: String,
        /// What was last seen.
        last: String,
    },
    /// The change failed for certain, and the files that this run had written for it were put back.
    RolledBack {
        /// How it failed.
        cause: Box<Failure>,
        /// The files that are as they were before.
        files: Vec<String>,
        /// Why the member is not as it was before; `None` where it is.
        error: Option<String>,
    },
    /// The host was lost and did not come back.
    Lost {
        /// The error of the connection.
        message: String,
    },
}

/// Why a node was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum NotRun {
    /// A node that it depends on did not succeed.
    Dependency {
        /// That node.
        on: NodeId,
    },
    /// A gate failed elsewhere in the rollout of its service.
    RolloutStopped {
        /// The node whose gate failed.
        by: NodeId,
    },
    /// Too many members of its quorum group are unavailable.
    Budget {
        /// The group.
        group: GroupId,
        /// The other members that are unavailable.
        unavailable: Vec<HostName>,
    },
    /// With `--fail-fast`, another node failed.
    FailFast,
    /// The operator interrupted the run.
    Interrupted,
}

/// The run in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Nodes that succeeded.
    pub done: usize,
    /// Nodes that failed.
    pub failed: usize,
    /// Nodes that were not started.
    pub not_run: usize,
    /// Whether the operator interrupted it.
    pub interrupted: bool,
}

impl Outcome {
    /// Whether every node succeeded.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.not_run == 0 && !self.interrupted
    }
}
