//! Planning again during an apply, where the hosts changed since the plan.
//!
//! A plan names the leader of the moment at which it is made. Where another member leads when its turn comes, the agent
//! does nothing and reports "changed since the plan". That is no reason to stop: a new plan, made from fresh facts, does
//! the new leader last. It is carried out without asking again as long as it is within what was approved: the same steps
//! of the same services, and nothing that was refused.

use std::collections::BTreeSet;

use plan::{Consent, Event, Failure, NodeOutcome, NotRun, Refusal, StepGraph};
use types::{HostName, NodeId, ServiceName};

/// How many plans an apply carries out at most, where the hosts change meanwhile.
pub const ROUNDS: usize = 10;

/// Whether a run stopped only because of changes since its plan or actions that were cut off: a new plan may do the rest.
pub fn stopped_by_changes(events: &[Event]) -> bool {
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
    has_changed && only_changes
}

/// Whether a new plan has changes, all of them within what was approved.
pub fn is_within(approved: &StepGraph, now: &StepGraph) -> bool {
    let steps: BTreeSet<(&str, &str)> = approved.nodes().iter().map(|node| step(&node.id)).collect();
    let is_within = now.nodes().iter().all(|node| steps.contains(&step(&node.id)));
    is_within && !refuses_more(approved, now) && !now.nodes().is_empty()
}

/// Whether something is refused that was not: a place has more refusals than it had. Why is told again each time, with other
/// figures, and is for people.
fn refuses_more(approved: &StepGraph, now: &StepGraph) -> bool {
    fn place(refusal: &Refusal) -> (&Option<ServiceName>, &Option<HostName>, &Option<Consent>) {
        (&refusal.service, &refusal.host, &refusal.consent)
    }
    let count = |graph: &StepGraph, at: &Refusal| {
        let all = graph.refusals.iter();
        all.filter(|refusal| place(refusal) == place(at)).count()
    };
    let mut all = now.refusals.iter();
    all.any(|refusal| count(now, refusal) > count(approved, refusal))
}

fn step(id: &NodeId) -> (&str, &str) {
    (id.rollout(), id.step())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Node;
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
            rollback: None,
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

    fn may_continue(approved: &StepGraph, events: &[Event], now: &StepGraph) -> bool {
        stopped_by_changes(events) && is_within(approved, now)
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
        now.refusals
            .push(Refusal::new("no member is restarted", "a majority is lost", ""));
        assert!(!may_continue(&approved(), &[changed()], &now));
    }

    #[test]
    fn what_was_refused_before_is_no_news_in_other_words() {
        let host = "db3".parse().unwrap();
        let refused = |lag: &str| Refusal::new("db3 does not join", lag, "wait").on(&host);
        let (mut before, mut now) = (approved(), graph(&["rs/restart@db2"]));
        before.refusals.push(refused("it is 90 s behind"));
        now.refusals.push(refused("it is 40 s behind"));
        assert!(may_continue(&before, &[changed()], &now));
        now.refusals
            .push(Refusal::new("db3 is not restarted", "it votes", "").on(&host));
        assert!(
            !may_continue(&before, &[changed()], &now),
            "another refusal of the same host"
        );
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
