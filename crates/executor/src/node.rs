//! One node: its action, then its gates.

use std::time::Duration;

use plan::{Event, Failure, Gate, Judge, Node, NodeOutcome, Verdict};
use protocol::{ActionError, Change};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use transport::SessionError;
use types::HostName;

use crate::connections::{Connections, after};
use crate::gather::{Patience, describe, look};
use crate::run::Asked;
use crate::schedule::End;
use crate::sending::Sending;

/// How often an action is sent, the first time among them. It is done once: see [`Sending`].
const ATTEMPTS: u32 = 3;

/// How long a look may take that began before the limit of its gate, or before the operator asked to stop.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// How much longer than an action's own limit its answer may take: the agent checks preconditions first, and an
/// operation comes to its next safe point after its time is up.
const SLACK: Duration = Duration::from_mins(1);

/// The first wait between two looks at a gate; it grows to [`LONGEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// The longest wait between two looks at a gate.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// How a node ended: for people, and for the schedule.
pub(crate) struct Ended {
    pub(crate) outcome: NodeOutcome,
    pub(crate) end: End,
}

/// Makes the node's change, not before a moment and not before what must be so is so, and waits for its gates.
pub(crate) async fn perform(
    node: &Node,
    not_before: Option<Instant>,
    connections: &Connections,
    judge: &dyn Judge,
    asked: Asked,
    events: &mpsc::UnboundedSender<Event>,
) -> Ended {
    let action = node.action.as_ref();
    let mut sending = action.map(|action| {
        let limit = Duration::from_millis(action.limit_ms).saturating_add(SLACK);
        Sending::new(connections, &node.id, action, limit)
    });
    let result = attempt(
        node,
        not_before,
        connections,
        judge,
        asked,
        events,
        sending.as_mut(),
    )
    .await;
    let end = match &result {
        Ok(_) => End::Done,
        Err(Failure::Blocked { .. }) => End::Blocked,
        Err(Failure::Gate { .. } | Failure::CutOff { .. }) => End::RolloutStopped,
        Err(Failure::Lost { .. }) => End::HostLost,
        Err(Failure::Changed { .. }) if !sending.is_some_and(|sending| sending.may_have_been_done()) => {
            End::Untouched
        }
        Err(Failure::Action { .. } | Failure::Changed { .. }) => End::Failed,
    };
    Ended {
        outcome: NodeOutcome::from(result),
        end,
    }
}

async fn attempt(
    node: &Node,
    not_before: Option<Instant>,
    connections: &Connections,
    judge: &dyn Judge,
    asked: Asked,
    events: &mpsc::UnboundedSender<Event>,
    sending: Option<&mut Sending<'_>>,
) -> Result<Option<Change>, Failure> {
    // Who no longer listens to events does not stop a run.
    let wait = |why: String| {
        drop(events.send(Event::NodeWaiting {
            node: node.id.clone(),
            why,
        }));
    };
    if let Some(at) = not_before.filter(|at| *at > Instant::now()) {
        let title = "the pause between members".to_owned();
        wait(title.clone());
        tokio::select! {
            biased;
            () = asked.clone() => return Err(Failure::Blocked { title, last: "interrupted".to_owned() }),
            () = sleep_until(at) => {}
        }
    }
    for gate in &node.before {
        let passed = pass(gate, connections, judge, asked.clone(), &wait).await;
        passed.map_err(blocked)?;
    }
    let change = match sending {
        Some(sending) => Some(act(&node.host, sending, connections, asked.clone(), &wait).await?),
        None => None,
    };
    for gate in &node.gates {
        pass(gate, connections, judge, asked.clone(), &wait).await?;
    }
    Ok(change)
}

/// A gate that did not pass before anything was done.
fn blocked(failure: Failure) -> Failure {
    match failure {
        Failure::Gate { title, last } => Failure::Blocked { title, last },
        other => other,
    }
}

async fn act(
    host: &HostName,
    sending: &mut Sending<'_>,
    connections: &Connections,
    asked: Asked,
    wait: &impl Fn(String),
) -> Result<Change, Failure> {
    let mut lost = String::new();
    for attempt in 1..=ATTEMPTS {
        // An action that was sent comes to its end; one that was not, or whose connection is gone, is left at a stop.
        let session = tokio::select! {
            biased;
            session = connections.session(host) => session,
            () = asked.clone() => {
                let before = seen(" after the connection was lost", &lost);
                return Err(Failure::Lost { message: format!("interrupted while connecting to {host}{before}") });
            }
        };
        let session = session.map_err(|error| Failure::Lost {
            message: describe(&error),
        })?;
        match sending.send(&session).await {
            Ok(Ok(change)) => return Ok(change),
            Ok(Err(ActionError::Changed { what })) => return Err(Failure::Changed { what }),
            Ok(Err(ActionError::CutOff { what })) => return Err(Failure::CutOff { what }),
            Ok(Err(error)) => {
                return Err(Failure::Action {
                    message: error.to_string(),
                });
            }
            Err(SessionError::Lost(why)) => {
                wait(format!("the connection to {host} was lost: {why}"));
                lost = why;
                if attempt < ATTEMPTS {
                    tokio::select! {
                        biased;
                        () = asked.clone() => break,
                        () = sleep(connections.pause(host, attempt)) => {}
                    }
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
    asked: Asked,
    wait: &impl Fn(String),
) -> Result<(), Failure> {
    let failed = |last: String| Failure::Gate {
        title: gate.title.clone(),
        last,
    };
    let interrupted = |last: &str| failed(format!("interrupted while waiting{}", seen("; last seen", last)));
    let limit = Duration::from_millis(gate.limit_ms);
    let deadline = after(limit);
    let mut pause = FIRST_LOOK;
    let mut last = String::new();
    loop {
        let looking = look(connections, gate.watch.clone(), Patience::None);
        let facts = tokio::select! {
            biased;
            facts = looking => facts,
            () = sleep_until(deadline.max(Instant::now() + LAST_LOOK)) => {
                let before = seen("; before that", &last);
                return Err(failed(format!("no answer within {} s{before}", limit.as_secs_f64())));
            }
            // A gate that holds passes after a stop too, if it can be seen at once.
            () = async { asked.clone().await; sleep(LAST_LOOK).await } => return Err(interrupted(&last)),
        };
        match judge.judge(gate, &facts) {
            Verdict::Pass => return Ok(()),
            Verdict::Fail(why) => return Err(failed(why)),
            Verdict::Wait(why) if Instant::now() >= deadline => {
                return Err(failed(format!("after {} s: {why}", limit.as_secs_f64())));
            }
            Verdict::Wait(why) => {
                if why != last {
                    wait(format!("{}: {why}", gate.title));
                    last = why;
                }
            }
        }
        tokio::select! {
            biased;
            () = asked.clone() => return Err(interrupted(&last)),
            // The last look is at the limit itself.
            () = sleep_until(deadline.min(Instant::now() + pause)) => pause = (pause * 3 / 2).min(LONGEST_LOOK),
        }
    }
}

/// What was seen, with words before it; nothing where nothing was.
fn seen(words: &str, what: &str) -> String {
    if what.is_empty() {
        String::new()
    } else {
        format!("{words}: {what}")
    }
}
