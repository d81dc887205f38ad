//! The effect of a node: create, change, disrupt or wait, with its sign in the plan.

use std::fmt;

use plan::{Node, Preview};
use protocol::{FileState, Operation, UnitVerb};
use serde::Serialize;

use crate::Paint;

/// The effect of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something is created.
    Create,
    /// Something changes, and the service stays available.
    Change,
    /// A process is stopped or restarted, or a member becomes unavailable.
    Disrupt,
    /// Nothing is done; the run waits for a condition.
    Wait,
}

impl Effect {
    /// The effect of a node.
    pub fn of(node: &Node) -> Self {
        let Some(action) = &node.action else {
            return Self::Wait;
        };
        if !node.disrupts.is_empty() {
            return Self::Disrupt;
        }
        match &action.operation {
            Operation::Unit { verbs, .. } if verbs.iter().any(|verb| stops(*verb)) => Self::Disrupt,
            Operation::WriteFile { was, .. } if *was == FileState::Absent => Self::Create,
            Operation::MakeDirectory { .. } | Operation::InstallPackages { .. } => Self::Create,
            _ if matches!(node.preview, Some(Preview::File { before: None, .. })) => Self::Create,
            _ => Self::Change,
        }
    }

    /// The colour of its lines.
    pub fn paint(self) -> Paint {
        match self {
            Self::Create => Paint::Good,
            Self::Change => Paint::Warn,
            Self::Disrupt => Paint::Bad,
            Self::Wait => Paint::Faint,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "+",
            Self::Change => "~",
            Self::Disrupt => "!",
            Self::Wait => "…",
        })
    }
}

fn stops(verb: UnitVerb) -> bool {
    matches!(verb, UnitVerb::Stop | UnitVerb::Restart)
}

/// Whether a node restarts a unit: so that the summary can call a restart by its name.
pub(crate) fn restarts(node: &Node) -> bool {
    let operation = node.action.as_ref().map(|action| &action.operation);
    matches!(operation, Some(Operation::Unit { verbs, .. }) if verbs.contains(&UnitVerb::Restart))
}
