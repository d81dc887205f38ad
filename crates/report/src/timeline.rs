//! What is known of a run from its events: when each node began, what it waits for, how it ended.
//!
//! Progress adds event after event; outcome and history take a whole run.

use std::collections::BTreeMap;

use plan::{Event, NodeOutcome};
use types::NodeId;

/// A run so far.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// When the first event happened.
    pub started_us: Option<i64>,
    /// When the newest event happened.
    pub last_us: i64,
    /// Whether the operator interrupted it.
    pub interrupted: bool,
    /// Whether it came to its end.
    pub finished: bool,
    /// The nodes of which something was heard.
    pub nodes: BTreeMap<NodeId, NodeProgress>,
}

/// One node so far.
#[derive(Debug, Clone, Default)]
pub struct NodeProgress {
    /// When it was started.
    pub started_us: Option<i64>,
    /// What it waits for, in words; empty where it does not wait.
    pub waits_for: String,
    /// When it ended.
    pub finished_us: Option<i64>,
    /// How it ended.
    pub outcome: Option<NodeOutcome>,
}

/// How many nodes are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// They succeeded.
    pub done: usize,
    /// They failed.
    pub failed: usize,
    /// They were not started, and will not be.
    pub not_run: usize,
    /// They are under way.
    pub running: usize,
}

impl NodeProgress {
    /// How long it took; `None` where it did not begin or has not ended.
    pub fn took_us(&self) -> Option<i64> {
        Some(self.finished_us?.saturating_sub(self.started_us?))
    }

    /// Whether it has begun and not ended.
    pub fn is_running(&self) -> bool {
        self.started_us.is_some() && self.outcome.is_none()
    }
}

impl Timeline {
    /// A run as it was recorded.
    pub fn of(events: &[(i64, Event)]) -> Self {
        let mut timeline = Self::default();
        for (at_us, event) in events {
            timeline.add(*at_us, event);
        }
        timeline
    }

    /// Takes in the next event.
    pub fn add(&mut self, at_us: i64, event: &Event) {
        self.started_us.get_or_insert(at_us);
        self.last_us = at_us;
        match event {
            Event::RunStarted { .. } => {}
            Event::NodeStarted { node, .. } => {
                // A node that is started again after a lost connection began when it first began.
                self.node(node).started_us.get_or_insert(at_us);
            }
            Event::NodeWaiting { node, why } => self.node(node).waits_for.clone_from(why),
            Event::NodeFinished { node, outcome } => {
                let node = self.node(node);
                node.waits_for.clear();
                node.finished_us = Some(at_us);
                node.outcome = Some(outcome.clone());
            }
            Event::Interrupted => self.interrupted = true,
            Event::RunFinished { outcome } => {
                self.finished = true;
                self.interrupted |= outcome.interrupted;
            }
        }
    }

    /// How long the run took, or has taken so far.
    pub fn took_us(&self) -> i64 {
        self.started_us
            .map_or(0, |started| self.last_us.saturating_sub(started))
    }

    /// Counts the nodes of which something was heard.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for node in self.nodes.values() {
            match &node.outcome {
                Some(NodeOutcome::Done { .. }) => tally.done += 1,
                Some(NodeOutcome::Failed { .. }) => tally.failed += 1,
                Some(NodeOutcome::NotRun { .. }) => tally.not_run += 1,
                None if node.is_running() => tally.running += 1,
                None => {}
            }
        }
        tally
    }

    fn node(&mut self, node: &NodeId) -> &mut NodeProgress {
        self.nodes.entry(node.clone()).or_default()
    }
}
