//! Planning again during an apply, where the hosts changed since the plan.
//!
//! A plan names the leader of the moment at which it is made. Where another member leads when its turn comes, the agent
//! does nothing and reports "changed since the plan". That is no reason to stop: a new plan, made from fresh facts, does
//! the new leader last. It is carried out without asking again as long as it is within what was approved: the same steps
//! of the same services, and nothing that was refused.

use std::collections::BTreeSet;

use plan::{Event, Failure, NodeOutcome, NotRun, StepGraph};
use types::NodeId;

/// Whether a run stopped only because of changes since its plan or actions that were cut off, and the new plan is within
/// what was approved.
pub fn may_continue(approved: &StepGraph, events: &[Event], now: &StepGraph) -> bool {
    let mut ends = events.iter().filter_map(|event| match event {
        Event::NodeFinished { outcome, .. } => Some(outcome),
        _ => None,
    });
    let mut has_changed = false;
    let only_changes = ends.all(|outcome| match outcome {
        NodeOutcome::Done { .. } => true,
        NodeOutcome::Failed { failure } => {
            has_changed = true;
            matches!(failure, Failure::Changed { .. } | Failure::CutOff { .. })
        }
        NodeOutcome::NotRun { why } => {
            matches!(why, NotRun::Dependency { .. } | NotRun::RolloutStopped { .. })
        }
    });
    let steps: BTreeSet<(&str, &str)> = approved.nodes().iter().map(|node| step(&node.id)).collect();
    let is_within = now.nodes().iter().all(|node| steps.contains(&step(&node.id)));
    let refuses_more = now
        .refusals
        .iter()
        .any(|refusal| !approved.refusals.contains(refusal));
    has_changed && only_changes && is_within && !refuses_more && !now.nodes().is_empty()
}

fn step(id: &NodeId) -> (&str, &str) {
    (id.rollout(), id.step())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Node, Refusal};
    use std::collections::{BTreeMap, BTreeSet};

    fn graph(ids: &[&str]) -> StepGraph {
        let nodes = ids.iter().map(|id| Node {
            id: id.parse().unwrap(),
            service: None,
            host: id.split('@').next_back().unwrap().parse().unwrap(),
            title: String::new(),
            reason: String::new(),
            action: None,
            preview: None,
            disrupts: BTreeSet::new(),
            before: Vec::new(),
            gates: Vec::new(),
            needs: BTreeSet::new(),
        });
        StepGraph::new(nodes.collect(), BTreeMap::new()).unwrap()
    }

    fn ended(outcome: NodeOutcome) -> Event {
        Event::NodeFinished {
            node: "rs/restart@db1".parse().unwrap(),
            outcome,
        }
    }

    fn failed(failure: Failure) -> Event {
        ended(NodeOutcome::Failed { failure })
    }

    fn changed() -> Event {
        failed(Failure::Changed {
            what: "db2 is the primary".to_owned(),
        })
    }

    fn approved() -> StepGraph {
        graph(&["rs/restart@db2", "rs/restart.step-down@db1", "rs/restart@db1"])
    }

    #[test]
    fn another_leader_is_no_reason_to_stop() {
        let now = graph(&["rs/restart.step-down@db2", "rs/restart@db2"]);
        let done = ended(NodeOutcome::Done { change: None });
        assert!(may_continue(&approved(), &[done.clone(), changed()], &now));
        assert!(!may_continue(&approved(), &[done], &now), "nothing had changed");
        assert!(
            !may_continue(&approved(), &[changed()], &graph(&[])),
            "nothing is left"
        );
    }

    #[test]
    fn what_was_not_approved_is_not_done() {
        for other in ["rs/reconfigure@db1", "mq/restart@db1"] {
            assert!(
                !may_continue(&approved(), &[changed()], &graph(&[other])),
                "{other}"
            );
        }
        let mut now = graph(&["rs/restart@db2"]);
        now.refusals.push(Refusal {
            service: None,
            host: None,
            what: "no member is restarted".to_owned(),
            why: "a majority is lost".to_owned(),
            resolve: String::new(),
            consent: None,
        });
        assert!(!may_continue(&approved(), &[changed()], &now));
    }

    #[test]
    fn any_other_failure_ends_it() {
        let now = graph(&["rs/restart@db2"]);
        for failure in [
            Failure::Action {
                message: "no".to_owned(),
            },
            Failure::Gate {
                title: "db1 is available".to_owned(),
                last: "it is not".to_owned(),
            },
        ] {
            assert!(!may_continue(&approved(), &[changed(), failed(failure)], &now));
        }
        let why = NotRun::Interrupted;
        assert!(!may_continue(
            &approved(),
            &[changed(), ended(NodeOutcome::NotRun { why })],
            &now
        ));
    }
}
