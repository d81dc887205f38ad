//! One node: its preconditions, its action, then its gates.

use std::time::Duration;

use plan::{Event, Failure, Gate, Judge, Node, NodeOutcome, Rollback, Verdict};
use protocol::{Action, ActionError, Change};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use transport::SessionError;

use crate::connections::{Connections, after};
use crate::gather::{Patience, describe, gather_with};
use crate::process::Process;
use crate::resend::Delivery;
use crate::rollback::Replaced;
use crate::schedule::End;
use crate::stop::StopRequest;

/// How often an action is sent, the first time among them. It is done once: see [`Delivery`].
const ATTEMPTS: u32 = 3;

/// How long an observation may take that began before the limit of its gate, or before the operator asked to stop.
const LAST_OBSERVATION: Duration = Duration::from_secs(5);

/// How much longer than an action's own limit its answer may take: the agent checks preconditions first, and an
/// operation reaches its next safe point after its time is up.
const SLACK: Duration = Duration::from_mins(1);

/// The first interval between two observations for a gate; it grows to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_millis(100);
/// The longest interval between two observations for a gate.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);

/// How a node ended: for people, and for the schedule.
pub(crate) struct Ended {
    pub(crate) outcome: NodeOutcome,
    pub(crate) end: End,
}

/// What the nodes of a run share.
pub(crate) struct NodeCx<'a> {
    pub(crate) connections: &'a Connections,
    pub(crate) judge: &'a dyn Judge,
    pub(crate) stop: StopRequest,
    pub(crate) events: &'a mpsc::UnboundedSender<Event>,
}

/// A node that is run.
pub(crate) struct NodeRun<'a> {
    pub(crate) cx: &'a NodeCx<'a>,
    pub(crate) node: &'a Node,
    /// What this run replaced for the node, in the order in which it is put back.
    pub(crate) replaced: Vec<Replaced>,
}

/// Why a node stopped.
struct Stopped {
    failure: Failure,
    /// Whether its change was made, and more time would not mend it.
    is_certain: bool,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            is_certain: false,
        }
    }
}

impl NodeRun<'_> {
    /// Makes the node's change, not before a moment and not before its preconditions hold, and waits for its gates. Where it
    /// fails for certain, what this run replaced for it is put back.
    pub(crate) async fn perform(&self, not_before: Option<Instant>) -> Ended {
        let mut delivery = self.node.action.as_ref().map(|action| self.delivery(action));
        let result = match self.attempt(not_before, delivery.as_mut()).await {
            Ok(change) => Ok(change),
            Err(stopped) => Err(self.roll_back(stopped).await),
        };
        let end = match &result {
            Ok(_) => End::Done,
            Err(Failure::Blocked { .. }) => End::Blocked,
            Err(Failure::RolledBack { error: None, .. }) => End::RolledBack,
            Err(Failure::Gate { .. } | Failure::CutOff { .. } | Failure::RolledBack { .. }) => {
                End::RolloutStopped
            }
            Err(Failure::Lost { .. }) => End::HostLost,
            Err(Failure::Changed { .. })
                if !delivery.is_some_and(|delivery| delivery.may_have_been_done()) =>
            {
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
        &self,
        not_before: Option<Instant>,
        delivery: Option<&mut Delivery<'_>>,
    ) -> Result<Option<Change>, Stopped> {
        if let Some(at) = not_before.filter(|at| *at > Instant::now()) {
            self.pause_until(at).await?;
        }
        for gate in &self.node.before {
            self.pass(gate, None)
                .await
                .map_err(|stopped| blocked(stopped.failure))?;
        }
        let change = match delivery {
            Some(delivery) => Some(self.act(delivery).await?),
            None => None,
        };
        let mut process = Process::of(self.node);
        for gate in &self.node.gates {
            self.pass(gate, process.as_mut()).await?;
        }
        Ok(change)
    }

    fn delivery(&self, action: &Action) -> Delivery<'_> {
        let limit = Duration::from_millis(action.limit_ms).saturating_add(SLACK);
        Delivery::new(self.cx.connections, &self.node.id, action, limit)
    }

    /// Puts back what was replaced for a change that failed for certain.
    async fn roll_back(&self, stopped: Stopped) -> Failure {
        let Stopped { failure, is_certain } = stopped;
        let Some(rollback) = self.node.rollback.as_ref().filter(|_| is_certain) else {
            return failure;
        };
        if self.replaced.is_empty() {
            return failure;
        }
        self.report_waiting("it failed, and what was changed for it is put back".to_owned());
        let mut files = Vec::new();
        let restored = self.restore(rollback, &mut files).await;
        Failure::RolledBack {
            cause: Box::new(failure),
            files,
            error: restored.err().map(|stopped| words(&stopped.failure)),
        }
    }

    async fn restore(&self, rollback: &Rollback, files: &mut Vec<String>) -> Result<(), Stopped> {
        for replaced in &self.replaced {
            let _change = self.act(&mut self.delivery(&replaced.action)).await?;
            files.push(replaced.path.clone());
        }
        if let Some(action) = &rollback.action {
            let _change = self.act(&mut self.delivery(action)).await?;
        }
        let mut process = Process::of(self.node);
        for gate in &rollback.gates {
            self.pass(gate, process.as_mut()).await?;
        }
        Ok(())
    }

    /// The pause after the member before.
    async fn pause_until(&self, at: Instant) -> Result<(), Failure> {
        let title = "the pause between members".to_owned();
        self.report_waiting(title.clone());
        tokio::select! {
            biased;
            () = self.cx.stop.clone() => Err(Failure::Blocked { title, last: "interrupted".to_owned() }),
            () = sleep_until(at) => Ok(()),
        }
    }

    async fn act(&self, delivery: &mut Delivery<'_>) -> Result<Change, Stopped> {
        let (host, connections) = (&self.node.host, self.cx.connections);
        let mut lost = String::new();
        for attempt in 1..=ATTEMPTS {
            // At a stop, an action that was sent is finished; one that was not, or whose connection is lost, is given up.
            let session = tokio::select! {
                biased;
                session = connections.session(host) => session,
                () = self.cx.stop.clone() => {
                    let before = seen(" after the connection was lost", &lost);
                    return Err(Failure::Lost { message: format!("interrupted while connecting to {host}{before}") }.into());
                }
            };
            let session = session.map_err(|error| Failure::Lost {
                message: describe(&error),
            })?;
            match delivery.send(&session).await {
                Ok(Ok(change)) => return Ok(change),
                Ok(Err(error)) => {
                    return Err(Stopped {
                        is_certain: matches!(error, ActionError::Failed { .. }),
                        failure: failure(error),
                    });
                }
                Err(SessionError::Lost(why)) => {
                    self.report_waiting(format!("the connection to {host} was lost: {why}"));
                    lost = why;
                    if attempt < ATTEMPTS {
                        tokio::select! {
                            biased;
                            () = self.cx.stop.clone() => break,
                            () = sleep(connections.pause(host, attempt)) => {}
                        }
                    }
                }
                Err(error) => {
                    let message = error.to_string();
                    return Err(Failure::Action { message }.into());
                }
            }
        }
        Err(Failure::Lost { message: lost }.into())
    }

    /// Observes the gate's facts until it passes, fails, runs out of time, or the operator asks to stop; or until the process
    /// that the action started can no longer come up.
    async fn pass(&self, gate: &Gate, mut process: Option<&mut Process<'_>>) -> Result<(), Stopped> {
        let stopped = |last: String, is_certain: bool| {
            let title = gate.title.clone();
            let failure = Failure::Gate { title, last };
            Err(Stopped { failure, is_certain })
        };
        let failed = |last: String| stopped(last, false);
        let never = |last: String| stopped(last, true);
        let interrupted =
            |last: &str| failed(format!("interrupted while waiting{}", seen("; last seen", last)));
        let limit = Duration::from_millis(gate.limit_ms);
        let deadline = after(limit);
        let watch = process
            .as_ref()
            .map_or_else(|| gate.watch.clone(), |process| process.watch_beside(gate));
        let mut interval = FIRST_INTERVAL;
        let mut last = String::new();
        loop {
            let observing = gather_with(self.cx.connections, watch.clone(), Patience::None);
            let facts = tokio::select! {
                biased;
                facts = observing => facts,
                () = sleep_until(deadline.max(Instant::now() + LAST_OBSERVATION)) => {
                    let before = seen("; before that", &last);
                    return failed(format!("no answer within {} s{before}", limit.as_secs_f64()));
                }
                // A gate that holds passes after a stop too, if it can be seen at once.
                () = async { self.cx.stop.clone().await; sleep(LAST_OBSERVATION).await } => {
                    return interrupted(&last);
                }
            };
            let verdict = self.cx.judge.judge(gate, &facts);
            let over = match process.as_deref_mut().filter(|_| verdict != Verdict::Pass) {
                Some(process) => process.over(&facts, self.cx.connections).await,
                None => None,
            };
            match (verdict, over) {
                (Verdict::Pass, _) => return Ok(()),
                (Verdict::Fail(why), None) => return never(why),
                (Verdict::Fail(why), Some(over)) => return never(format!("{why}{}", over.journal)),
                (Verdict::Wait(why), Some(over)) => {
                    return never(format!("{}: {why}{}", over.how, over.journal));
                }
                (Verdict::Wait(why), None) if Instant::now() >= deadline => {
                    return failed(format!("after {} s: {why}", limit.as_secs_f64()));
                }
                (Verdict::Wait(why), None) => {
                    if why != last {
                        self.report_waiting(format!("{}: {why}", gate.title));
                        last = why;
                    }
                }
            }
            tokio::select! {
                biased;
                () = self.cx.stop.clone() => return interrupted(&last),
                // The last observation is at the limit itself.
                () = sleep_until(deadline.min(Instant::now() + interval)) => {
                    interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
                }
            }
        }
    }

    fn report_waiting(&self, why: String) {
        let node = self.node.id.clone();
        // A receiver of events that is gone does not stop a run.
        drop(self.cx.events.send(Event::NodeWaiting { node, why }));
    }
}

/// A gate that did not pass before anything was done.
fn blocked(failure: Failure) -> Failure {
    match failure {
        Failure::Gate { title, last } => Failure::Blocked { title, last },
        other => other,
    }
}

/// A failure of putting something back, in words.
fn words(failure: &Failure) -> String {
    match failure {
        Failure::Gate { title, last } | Failure::Blocked { title, last } => format!("{title}: {last}"),
        Failure::Changed { what: text }
        | Failure::CutOff { what: text }
        | Failure::Action { message: text }
        | Failure::Lost { message: text } => text.clone(),
        Failure::RolledBack { cause, .. } => words(cause),
    }
}

fn failure(error: ActionError) -> Failure {
    match error {
        ActionError::Changed { what } => Failure::Changed { what },
        ActionError::CutOff { what } => Failure::CutOff { what },
        error => Failure::Action {
            message: error.to_string(),
        },
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
