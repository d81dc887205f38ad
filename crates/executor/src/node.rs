//! One node: its action, then its gates.

use std::time::Duration;

use plan::{Event, Failure, Gate, Judge, Node, NodeOutcome, Verdict};
use protocol::{Action, ActionError, Change};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use transport::SessionError;
use types::HostName;

use crate::connections::{Connections, answer};
use crate::gather::{Patience, describe, look};
use crate::run::Stop;
use crate::schedule::End;

/// How often an action is sent again after its connection was lost. Each time the agent checks its preconditions anew.
const ATTEMPTS: u32 = 3;

/// How much longer than an action's own limit its answer may take: the agent checks preconditions first, and an
/// operation comes to its next safe point after its time is up.
const SLACK: Duration = Duration::from_secs(60);

/// The first wait between two looks at a gate; it grows to [`LONGEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// The longest wait between two looks at a gate.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// How a node ended: for people, and for the schedule.
pub(crate) struct Ended {
    pub(crate) outcome: NodeOutcome,
    pub(crate) end: End,
}

/// Makes the node's change and waits for its gates.
pub(crate) async fn perform(
    node: &Node,
    connections: &Connections,
    judge: &dyn Judge,
    stop: watch::Receiver<Stop>,
    events: &mpsc::UnboundedSender<Event>,
) -> Ended {
    let mut sent = 0;
    let result = attempt(node, connections, judge, stop, events, &mut sent).await;
    let end = match &result {
        Ok(_) => End::Done,
        Err(Failure::Gate { .. } | Failure::Lost { .. }) => End::RolloutStopped,
        // After an action was sent twice, what changed since the plan may be what the first sending did.
        Err(Failure::Changed { .. }) if sent <= 1 => End::Untouched,
        Err(Failure::Action { .. } | Failure::Changed { .. }) => End::Failed,
    };
    Ended {
        outcome: NodeOutcome::from(result),
        end,
    }
}

async fn attempt(
    node: &Node,
    connections: &Connections,
    judge: &dyn Judge,
    stop: watch::Receiver<Stop>,
    events: &mpsc::UnboundedSender<Event>,
    sent: &mut u32,
) -> Result<Option<Change>, Failure> {
    // Who no longer listens to events does not stop a run.
    let wait = |why: String| {
        drop(events.send(Event::NodeWaiting {
            node: node.id.clone(),
            why,
        }))
    };
    let change = match &node.action {
        Some(action) => Some(act(&node.host, action, connections, &wait, sent).await?),
        None => None,
    };
    for gate in &node.gates {
        pass(gate, connections, judge, stop.clone(), &wait).await?;
    }
    Ok(change)
}

async fn act(
    host: &HostName,
    action: &Action,
    connections: &Connections,
    wait: &impl Fn(String),
    sent: &mut u32,
) -> Result<Change, Failure> {
    let limit = Duration::from_millis(action.limit_ms) + SLACK;
    let mut lost = String::new();
    for attempt in 1..=ATTEMPTS {
        let session = match connections.session(host).await {
            Ok(session) => session,
            Err(error) => {
                return Err(Failure::Lost {
                    message: describe(&error),
                });
            }
        };
        *sent += 1;
        match answer(&session, limit, session.act(action.clone())).await {
            Ok(Ok(change)) => return Ok(change),
            Ok(Err(ActionError::Changed { what })) => return Err(Failure::Changed { what }),
            Ok(Err(error)) => {
                return Err(Failure::Action {
                    message: error.to_string(),
                });
            }
            Err(SessionError::Lost(why)) => {
                wait(format!("the connection to {host} was lost: {why}"));
                lost = why;
                if attempt < ATTEMPTS {
                    sleep(connections.pause(host, attempt)).await;
                }
            }
            Err(error) => {
                return Err(Failure::Action {
                    message: error.to_string(),
                });
            }
        }
    }
    Err(Failure::Lost { message: lost })
}

/// Looks at the gate's facts until it passes, fails, runs out of time, or the operator asks to stop.
async fn pass(
    gate: &Gate,
    connections: &Connections,
    judge: &dyn Judge,
    mut stop: watch::Receiver<Stop>,
    wait: &impl Fn(String),
) -> Result<(), Failure> {
    let failed = |last: String| Failure::Gate {
        title: gate.title.clone(),
        last,
    };
    let deadline = Instant::now() + Duration::from_millis(gate.limit_ms);
    let mut pause = FIRST_LOOK;
    let mut last = String::new();
    loop {
        let looking = look(connections, gate.watch.clone(), Patience::None);
        let Ok(facts) = tokio::time::timeout_at(deadline, looking).await else {
            return Err(failed(format!(
                "no answer within {} s; before that: {last}",
                gate.limit_ms / 1000
            )));
        };
        match judge.judge(gate, &facts) {
            Verdict::Pass => return Ok(()),
            Verdict::Fail(why) => return Err(failed(why)),
            Verdict::Wait(why) if Instant::now() + pause >= deadline => {
                return Err(failed(format!("after {} s: {why}", gate.limit_ms / 1000)));
            }
            Verdict::Wait(why) => {
                if why != last {
                    wait(format!("{}: {why}", gate.title));
                    last = why;
                }
            }
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 3 / 2).min(LONGEST_LOOK),
            Ok(_) = stop.wait_for(|stop| *stop == Stop::Asked) => {
                return Err(failed(format!("interrupted while waiting; last seen: {last}")));
            }
        }
    }
}
