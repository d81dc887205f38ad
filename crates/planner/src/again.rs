//! Planning again: what to do where the hosts changed since the plan, while it was carried out.
//!
//! A plan names who leads when it is made. Where another leads when a member's turn comes, the agent does nothing and says
//! "changed since the plan". That is no reason to give up: on what is there now a new plan knows what to do, the new
//! leader last. It may be carried out without more ado as long as it is what was approved: the same steps of the same
//! services, and nothing that was refused.

use std::collections::BTreeSet;

use plan::{Event, Failure, NodeOutcome, NotRun, StepGraph};
use types::NodeId;

/// Whether a run stopped only because of changes since its plan or of actions that were cut off, and what is planned now is within what was approved.
pub fn goes_on(approved: &StepGraph, events: &[Event], now: &StepGraph) -> bool {
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
    let news = now
        .refusals
        .iter()
        .any(|refusal| !approved.refusals.contains(refusal));
    has_changed && only_changes && is_within && !news && !now.nodes().is_empty()
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
    fn another_leader_is_no_reason_to_give_up() {
        let now = graph(&["rs/restart.step-down@db2", "rs/restart@db2"]);
        let done = ended(NodeOutcome::Done { change: None });
        assert!(goes_on(&approved(), &[done.clone(), changed()], &now));
        assert!(!goes_on(&approved(), &[done], &now), "nothing had changed");
        assert!(
            !goes_on(&approved(), &[changed()], &graph(&[])),
            "nothing is left"
        );
    }

    #[test]
    fn what_was_not_approved_is_not_done() {
        for other in ["rs/reconfigure@db1", "mq/restart@db1"] {
            assert!(!goes_on(&approved(), &[changed()], &graph(&[other])), "{other}");
        }
        let mut now = graph(&["rs/restart@db2"]);
        now.refusals.push(Refusal {
            service: None,
            host: None,
            what: "no member is restarted".to_owned(),
            why: "a majority is lost".to_owned(),
            way_out: String::new(),
            consent: None,
        });
        assert!(!goes_on(&approved(), &[changed()], &now));
    }

    #[test]
    fn any_other_failure_ends_it() {
        let now = graph(&["rs/restart@db2"]);
        for failure in [
            Failure::Action {
                message: "no".to_owned(),
            },
            Failure::Gate {
                title: "it serves".to_owned(),
                last: "it does not".to_owned(),
            },
        ] {
            assert!(!goes_on(&approved(), &[changed(), failed(failure)], &now));
        }
        let why = NotRun::Interrupted;
        assert!(!goes_on(
            &approved(),
            &[changed(), ended(NodeOutcome::NotRun { why })],
            &now
        ));
    }
}
