//! Runs of a graph on a fake cluster, and what they told.

use std::sync::Arc;
use std::time::Duration;

use plan::{Event, Facts, Failure, Gate, Judge, NodeOutcome, NotRun, Outcome, StepGraph, Verdict};
use protocol::FactQuery;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use transport::fake::Fake;

use super::fake_cluster::FakeCluster;
use crate::{Connections, Limits, Stop, run};

/// Judges by what the cluster says of the node that the gate's check names.
pub(super) struct FakeJudge;

impl Judge for FakeJudge {
    fn judge(&self, gate: &Gate, facts: &Facts) -> Verdict {
        for (host, queries) in &gate.watch {
            for query in queries {
                let FactQuery::Command(query) = query else {
                    panic!("nobody asks {query:?}");
                };
                match facts.get(host, query) {
                    Ok(fact) if fact.stdout == "serves" => {}
                    Ok(fact) if fact.stdout == "broken" => {
                        return Verdict::Fail(format!("{host} is broken"));
                    }
                    Ok(fact) => return Verdict::Wait(format!("{host} is {}", fact.stdout)),
                    Err(unknown) => return Verdict::Wait(unknown.to_string()),
                }
            }
        }
        Verdict::Pass
    }
}

/// A run that is prepared: the graph, its cluster, and what the run gets from outside.
pub(super) struct Setting {
    pub(super) graph: StepGraph,
    pub(super) cluster: FakeCluster,
    pub(super) fake: Fake,
    pub(super) limits: Limits,
    pub(super) stopper: watch::Sender<Stop>,
}

/// A run that has ended.
pub(super) struct Ran {
    pub(super) outcome: Outcome,
    pub(super) events: Vec<Event>,
}

impl Setting {
    pub(super) fn new(graph: StepGraph) -> Self {
        let cluster = FakeCluster::new(&graph);
        let fake = Fake::new(Arc::new(cluster.clone()));
        Self {
            graph,
            cluster,
            fake,
            limits: Limits::default(),
            stopper: watch::channel(Stop::No).0,
        }
    }

    pub(super) fn connections(&self) -> Connections {
        let hosts = self.graph.nodes().iter().map(|node| &node.host);
        let members = self.graph.budgets().values().flat_map(|budget| &budget.members);
        let hosts = hosts.chain(members).cloned();
        Connections::new(Arc::new(self.fake.clone()), hosts, Vec::new(), 8)
    }

    pub(super) async fn run(&self) -> Ran {
        self.run_over(&self.connections()).await
    }

    /// Runs, and does something at a time, in milliseconds.
    pub(super) async fn run_and(&self, at: u64, then: impl FnOnce(&Self)) -> Ran {
        let later = async {
            sleep(Duration::from_millis(at)).await;
            then(self);
        };
        tokio::join!(self.run(), later).0
    }

    pub(super) async fn run_over(&self, connections: &Connections) -> Ran {
        let (events, mut queue) = mpsc::unbounded_channel();
        let running = run(
            &self.graph,
            connections,
            &FakeJudge,
            self.limits,
            self.stopper.subscribe(),
            events,
        );
        // A run that has not ended after a day of simulated time hangs.
        let outcome = tokio::time::timeout(Duration::from_hours(24), running)
            .await
            .expect("the run hangs");
        let mut events = Vec::new();
        while let Ok(event) = queue.try_recv() {
            events.push(event);
        }
        Ran { outcome, events }
    }

    pub(super) fn stop(&self) {
        self.stopper.send_replace(Stop::Asked);
    }
}

impl Ran {
    pub(super) fn of(&self, id: &str) -> NodeOutcome {
        let mut ends = self.events.iter().filter_map(|event| match event {
            Event::NodeFinished { node, outcome } if node.as_str() == id => Some(outcome.clone()),
            _ => None,
        });
        let end = ends.next().unwrap_or_else(|| panic!("{id} has no end"));
        assert_eq!(ends.next(), None, "{id} ends twice");
        end
    }

    pub(super) fn failure(&self, id: &str) -> Failure {
        match self.of(id) {
            NodeOutcome::Failed { failure } => failure,
            other => panic!("it did not fail: {other:?}"),
        }
    }

    pub(super) fn gate_failure(&self, id: &str) -> (String, String) {
        match self.failure(id) {
            Failure::Gate { title, last } => (title, last),
            other => panic!("its gate did not fail: {other:?}"),
        }
    }

    pub(super) fn lost(&self, id: &str) -> String {
        match self.failure(id) {
            Failure::Lost { message } => message,
            other => panic!("it was not lost: {other:?}"),
        }
    }

    pub(super) fn not_run(&self, id: &str) -> NotRun {
        match self.of(id) {
            NodeOutcome::NotRun { why } => why,
            other => panic!("it was run: {other:?}"),
        }
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        matches!(self.of(id), NodeOutcome::Done { .. })
    }

    /// What the node waited for.
    pub(super) fn waits(&self, id: &str) -> Vec<String> {
        let waits = self.events.iter().filter_map(|event| match event {
            Event::NodeWaiting { node, why } if node.as_str() == id => Some(why.clone()),
            _ => None,
        });
        waits.collect()
    }

    pub(super) fn figures(&self) -> (usize, usize, usize) {
        (self.outcome.done, self.outcome.failed, self.outcome.not_run)
    }
}
