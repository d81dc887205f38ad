//! The order of a serial step: each member waits for an earlier one, as many places before it as the budget is wide.
//!
//! A task that makes no member unavailable (a leader that steps down) waits for all before it, and all after it wait for
//! that task.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use types::NodeId;

/// The nodes of a serial step so far.
pub(crate) struct SerialOrder {
    width: usize,
    /// The last node that makes no member unavailable.
    barrier: Option<NodeId>,
    /// The nodes since then that no other waits for yet.
    open: VecDeque<NodeId>,
}

impl SerialOrder {
    pub(crate) fn new(width: Option<NonZeroUsize>) -> Self {
        Self {
            width: width.map_or(1, NonZeroUsize::get),
            barrier: None,
            open: VecDeque::new(),
        }
    }

    /// What the next node waits for, and whatever opens its turn.
    pub(crate) fn turn(&mut self, disrupts: bool) -> Vec<NodeId> {
        let kept = if disrupts { self.width - 1 } else { 0 };
        let waits = self.open.len().saturating_sub(kept);
        let mut needs: Vec<NodeId> = self.open.drain(..waits).collect();
        if needs.is_empty() {
            needs.extend(self.barrier.clone());
        }
        needs
    }

    /// Adds the next node, and returns what it waits for.
    pub(crate) fn add(&mut self, id: &NodeId, disrupts: bool) -> Vec<NodeId> {
        let needs = self.turn(disrupts);
        if disrupts {
            self.open.push_back(id.clone());
        } else {
            self.barrier = Some(id.clone());
        }
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each node of a serial step waits for; those in capitals make no member unavailable.
    fn order(width: usize, ids: &[&str]) -> Vec<String> {
        let mut order = SerialOrder::new(NonZeroUsize::new(width));
        let mut add = |id: &&str| {
            let disrupts = id.chars().all(char::is_lowercase);
            let needs = order.add(&id.to_lowercase().parse().unwrap(), disrupts);
            needs.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
        };
        ids.iter().map(&mut add).collect()
    }

    #[test]
    fn members_follow_each_other_as_wide_as_the_budget() {
        assert_eq!(order(1, &["a", "b", "c"]), ["", "a", "b"]);
        assert_eq!(order(1, &["a", "L", "b"]), ["", "a", "l"]);
        assert_eq!(order(2, &["a", "b", "c", "d"]), ["", "", "a", "b"]);
        assert_eq!(order(2, &["a", "b", "L", "c", "d"]), ["", "", "a b", "l", "l"]);
    }
}
