//! The run: starts what the schedule lets start, and tells events as they happen, one after another.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{BoxFuture, Shared};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use plan::{Event, Judge, NodeOutcome, NotRun, Outcome, StepGraph};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use types::GroupId;

use crate::connections::{Connections, after};
use crate::node;
use crate::schedule::Schedule;

/// How much may happen at once, and when to stop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Hosts that are acted on at once.
    pub hosts: usize,
    /// Nodes that run on one host at once.
    pub actions_per_host: usize,
    /// Whether nothing new starts after the first failure.
    pub fail_fast: bool,
    /// How long a member is left alone after it came back, before the next of its group is disrupted.
    pub pause_between: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hosts: 50,
            actions_per_host: 4,
            fail_fast: false,
            pause_between: Duration::ZERO,
        }
    }
}

/// Whether the operator asked to stop. Once asked, nothing new starts and gates are no longer waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Not asked.
    #[default]
    No,
    /// Asked: what runs comes to its next safe point.
    Asked,
}

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
    let asked = asked(stop.clone());
    // Who no longer listens to events does not stop a run.
    let tell = |event: Event| drop(events.send(event));
    let mut schedule = Schedule::new(graph, limits);
    let mut outcome = Outcome::default();
    let mut running = FuturesUnordered::new();
    let mut pauses: BTreeMap<&GroupId, Instant> = BTreeMap::new();
    tell(Event::RunStarted {
        nodes: graph.nodes().len(),
    });
    loop {
        if *stop.borrow() == Stop::Asked && !outcome.interrupted {
            outcome.interrupted = true;
            schedule.halt(NotRun::Interrupted);
            tell(Event::Interrupted);
        }
        for at in schedule.start() {
            let node = &graph.nodes()[at];
            tell(Event::NodeStarted {
                node: node.id.clone(),
                host: node.host.clone(),
            });
            let (events, asked) = (events.clone(), asked.clone());
            let not_before = node
                .disrupts
                .iter()
                .filter_map(|group| pauses.get(group).copied())
                .max();
            running.push(async move {
                let ended = node::perform(node, not_before, connections, judge, asked, &events).await;
                (at, ended)
            });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            // Told above, before anything else happens.
            () = asked.clone(), if !outcome.interrupted => {}
            Some((at, ended)) = running.next() => {
                count(&ended.outcome, &mut outcome);
                let over = after(limits.pause_between);
                pauses.extend(graph.nodes()[at].disrupts.iter().map(|group| (group, over)));
                tell(Event::NodeFinished { node: graph.nodes()[at].id.clone(), outcome: ended.outcome });
                report(graph, schedule.finish(at, ended.end), &mut outcome, &tell);
            }
        }
    }
    report(graph, schedule.give_up(), &mut outcome, &tell);
    tell(Event::RunFinished { outcome });
    outcome
}

/// The moment at which the operator asks to stop; it never comes where nobody can ask any more.
pub(crate) type Asked = Shared<BoxFuture<'static, ()>>;

/// Waits for that moment, for all who do: they hear of it in the order in which they began to wait. Receivers of a watch
/// hear of it in any order, and a run that was interrupted could not be repeated to the instant.
fn asked(mut stop: watch::Receiver<Stop>) -> Asked {
    let asked = async move {
        if stop.wait_for(|stop| *stop == Stop::Asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    asked.boxed().shared()
}

fn report(graph: &StepGraph, dropped: Vec<(usize, NotRun)>, outcome: &mut Outcome, tell: &impl Fn(Event)) {
    for (at, why) in dropped {
        let ended = NodeOutcome::NotRun { why };
        count(&ended, outcome);
        tell(Event::NodeFinished {
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
