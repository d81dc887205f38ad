//! What can differ between two plans of the same cluster.

use protocol::FileState;
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::{Budget, Node, Refusal, Unplanned};

/// One thing that changed since a plan was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Something that a service's steps rest on; `None` where it was not known.
    Basis {
        /// The service.
        service: ServiceName,
        /// In words: `the term of the replica set`.
        what: String,
        /// What it was.
        was: Option<String>,
        /// What it is.
        now: Option<String>,
    },
    /// A file that is to be written has changed.
    File {
        /// The host that it is on.
        host: HostName,
        /// Its path.
        path: String,
        /// What it was.
        was: FileState,
        /// What it is.
        now: FileState,
    },
    /// A disruption budget, or the members that are unavailable.
    Budget {
        /// The group.
        group: GroupId,
        /// What it was.
        was: Budget,
        /// What it is.
        now: Budget,
    },
    /// A step is no longer needed.
    Removed(Step),
    /// A step is needed that the earlier plan does not have.
    Added(Step),
    /// A step is needed in another form.
    Modified {
        /// The step.
        step: Step,
        /// What is different about it.
        aspects: Vec<Aspect>,
    },
    /// Something is refused now.
    Refused(Refusal),
    /// Something is no longer refused.
    NoLongerRefused(Refusal),
    /// Something cannot be planned now.
    Unplanned(Unplanned),
    /// Something can be planned again.
    NoLongerUnplanned(Unplanned),
    /// The plans differ, and in nothing of the above: in the order of what they list, for example.
    Structure,
}

/// A node, as it is named to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub node: NodeId,
    /// Its host.
    pub host: HostName,
    /// What is done.
    pub title: String,
    /// Why it is needed.
    pub reason: String,
}

/// What can be different about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// What is done.
    Action,
    /// What the agent checks when it acts.
    Precondition,
    /// The gates before it.
    GatesBefore,
    /// The gates after it.
    GatesAfter,
    /// The members that it makes unavailable.
    Disruption,
    /// What must be done before.
    Order,
    /// Its title.
    Title,
    /// What is shown of the change.
    Preview,
}

impl From<&Node> for Step {
    fn from(node: &Node) -> Self {
        Self {
            node: node.id.clone(),
            host: node.host.clone(),
            title: node.title.clone(),
            reason: node.reason.clone(),
        }
    }
}
