//! The critical path: the chain of nodes that made the run take as long as it did.
//!
//! It is read backwards from the node that ended last. What held a node up is the last to end, before it began, of
//! the nodes that it needed and of those that took from the same disruption budget.

use crate::timeline::{NodeProgress, Timeline};
use crate::{Label, Labels};

/// The nodes of the path in the order in which they ran, with how long each took.
pub(crate) fn path<'a>(labels: &'a Labels, timeline: &Timeline) -> Vec<(&'a Label, i64)> {
    let ended = |label: &Label| timeline.nodes.get(&label.node).and_then(|node| node.finished_us);
    let began = |label: &Label| timeline.nodes.get(&label.node).and_then(|node| node.started_us);
    let took = |label: &Label| timeline.nodes.get(&label.node).and_then(NodeProgress::took_us);
    let mut path = Vec::new();
    let mut next = labels
        .iter()
        .filter(|label| took(label).is_some())
        .max_by_key(|label| ended(label));
    while let Some(label) = next {
        path.push((label, took(label).unwrap_or_default()));
        let held_up = |other: &&Label| {
            other.node != label.node
                && took(other).is_some()
                && ended(other) <= began(label)
                // Times may be equal; then the order of the plan keeps the walk from going in circles.
                && began(other) <= began(label)
                && !path.iter().any(|(seen, _)| seen.node == other.node)
                && (label.needs.contains(&other.node) || !label.disrupts.is_disjoint(&other.disrupts))
        };
        next = labels.iter().filter(held_up).max_by_key(|other| ended(other));
    }
    path.reverse();
    path
}
