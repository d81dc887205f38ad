//! Putting a member back that a change of its files does not become.
//!
//! What a run wrote for a change that failed for certain is put back, as far as it is still what the run wrote: a file that the
//! service rewrote meanwhile is nobody's to replace. Then the old files are put into force, and the member is judged again.
//! It is done once: a second attempt would say the same.

use std::collections::BTreeMap;

use plan::{Node, StepGraph};
use protocol::{Action, Change, FileState, Operation};
use types::NodeId;

/// Time limit of putting one file back, in milliseconds.
const FILE: u64 = 60_000;

/// A file that this run replaced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replaced {
    pub(crate) path: String,
    /// What puts it back.
    pub(crate) action: Action,
}

/// What puts the files of a node back, by what the nodes before it changed; nothing where this run changed none of them.
pub(crate) fn replaced(node: &Node, graph: &StepGraph, changes: &BTreeMap<NodeId, Change>) -> Vec<Replaced> {
    let mut all: Vec<Replaced> = Vec::new();
    let files = node.rollback.iter().flat_map(|rollback| &rollback.files);
    for file in files {
        let operation = graph.nodes().iter().find(|node| node.id == *file);
        let operation = operation.and_then(|node| node.action.as_ref());
        let path = operation.and_then(|action| action.operation.file());
        let Some(((path, _), change)) = path.zip(changes.get(file)) else {
            continue;
        };
        let Some(wrote) = &change.wrote else { continue };
        all.retain(|earlier| earlier.path != path);
        let operation = Operation::RestoreFile {
            path: path.to_owned(),
            backup: change.backup.clone(),
            was: FileState::Hash(wrote.clone()),
        };
        all.push(Replaced {
            path: path.to_owned(),
            action: Action {
                only_if: Vec::new(),
                operation,
                limit_ms: FILE,
            },
        });
    }
    all
}
