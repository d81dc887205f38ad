//! The run: starts the nodes that the schedule allows, and reports events in the order in which they happen.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use plan::{Event, Judge, NodeOutcome, NotRun, Outcome, StepGraph};
use protocol::Change;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use types::{GroupId, NodeId};

use crate::connections::{Connections, after};
use crate::limits::Limits;
use crate::node::{NodeCx, NodeRun};
use crate::rollback::replaced;
use crate::schedule::Schedule;
use crate::stop::{self, Stop};

/// Runs a graph. Every event goes to `events` in the order in which things happened; the last is
/// [`Event::RunFinished`], with the outcome that is also returned.
pub async fn run(
    graph: &StepGraph,
    connections: &Connections,
    judge: &dyn Judge,
    limits: Limits,
    stop: watch::Receiver<Stop>,
    events: mpsc::UnboundedSender<Event>,
) -> Outcome {
    let cx = NodeCx {
        connections,
        judge,
        stop: stop::request(stop.clone()),
        events: &events,
    };
    // A receiver of events that is gone does not stop a run.
    let emit = |event: Event| drop(events.send(event));
    let mut schedule = Schedule::new(graph, limits);
    let mut outcome = Outcome::default();
    let mut running = FuturesUnordered::new();
    let mut pauses: BTreeMap<&GroupId, Instant> = BTreeMap::new();
    let mut changes: BTreeMap<NodeId, Change> = BTreeMap::new();
    emit(Event::RunStarted {
        nodes: graph.nodes().len(),
    });
    loop {
        if *stop.borrow() == Stop::Asked && !outcome.interrupted {
            outcome.interrupted = true;
            schedule.halt(NotRun::Interrupted);
            emit(Event::Interrupted);
        }
        for at in schedule.start() {
            let node = &graph.nodes()[at];
            emit(Event::NodeStarted {
                node: node.id.clone(),
                host: node.host.clone(),
            });
            let run = NodeRun {
                cx: &cx,
                node,
                replaced: replaced(node, graph, &changes),
            };
            let not_before = node
                .disrupts
                .iter()
                .filter_map(|group| pauses.get(group).copied())
                .max();
            running.push(async move { (at, run.perform(not_before).await) });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            // Told above, before anything else happens.
            () = cx.stop.clone(), if !outcome.interrupted => {}
            Some((at, ended)) = running.next() => {
                count(&ended.outcome, &mut outcome);
                if let NodeOutcome::Done { change: Some(change) } = &ended.outcome {
                    changes.insert(graph.nodes()[at].id.clone(), change.clone());
                }
                let over = after(limits.pause_between);
                pauses.extend(graph.nodes()[at].disrupts.iter().map(|group| (group, over)));
                emit(Event::NodeFinished { node: graph.nodes()[at].id.clone(), outcome: ended.outcome });
                report(graph, schedule.finish(at, ended.end), &mut outcome, &emit);
            }
        }
    }
    report(graph, schedule.give_up(), &mut outcome, &emit);
    emit(Event::RunFinished { outcome });
    outcome
}

fn report(graph: &StepGraph, dropped: Vec<(usize, NotRun)>, outcome: &mut Outcome, emit: &impl Fn(Event)) {
    for (at, why) in dropped {
        let ended = NodeOutcome::NotRun { why };
        count(&ended, outcome);
        emit(Event::NodeFinished {
            node: graph.nodes()[at].id.clone(),
            outcome: ended,
        });
    }
}

fn count(ended: &NodeOutcome, outcome: &mut Outcome) {
    match ended {
        NodeOutcome::Done { .. } => outcome.done += 1,
        NodeOutcome::Failed { .. } => outcome.failed += 1,
        NodeOutcome::NotRun { .. } => outcome.not_run += 1,
    }
}
