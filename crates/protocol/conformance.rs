//! Conversations about a run's actions, for every host that keeps a record of them: the real agent and the fake ones play
//! the same, so that what is proved on a fake holds for the real one.

use protocol::{ActionError, Change};

/// A new connection over which an action is sent once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The run that takes the lock.
    pub(super) run: &'static str,
    /// Whether that run has had the lock before.
    pub(super) had_lock: bool,
    /// The action's number in the run.
    pub(super) number: u32,
    /// Whether the action may be done a second time.
    pub(super) is_idempotent: bool,
    /// Whether the action was sent before.
    pub(super) is_repeated: bool,
    /// What happens to the connection.
    pub(super) event: Event,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The answer arrives.
    Answered(Expected),
    /// The connection is cut while the action is under way, and the agent carries it on to its end.
    Cut,
    /// The agent is killed while the action is under way.
    Killed,
}

/// The answer, and whether the action is done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Success, for the action is done.
    Done,
    /// The success of an earlier time.
    Known,
    /// The result of an earlier time is unknown, and nothing is done.
    Unknown,
}

use Event::{Answered, Cut, Killed};
use Expected::{Done, Known, Unknown};

/// A host with an agent.
pub(super) trait Host {
    /// Plays a step; the answer, where one arrives.
    fn play(&mut self, step: &Step) -> Option<Result<Change, ActionError>>;

    /// How often the step's action was done so far, once nothing is under way.
    fn done(&mut self, step: &Step) -> usize;
}

/// The first sending of an action that must not be done twice.
const FIRST: Step = Step {
    run: "r1",
    had_lock: false,
    number: 1,
    is_idempotent: false,
    is_repeated: false,
    event: Answered(Done),
};

const fn first(event: Event) -> Step {
    Step { event, ..FIRST }
}

const fn again(expected: Expected) -> Step {
    Step {
        had_lock: true,
        is_repeated: true,
        event: Answered(expected),
        ..FIRST
    }
}

const fn idempotent(step: Step) -> Step {
    Step {
        is_idempotent: true,
        ..step
    }
}

/// Another action of the same run.
const NEXT: Step = Step {
    had_lock: true,
    number: 2,
    ..FIRST
};

/// The first action of another run.
const OTHER: Step = Step { run: "r2", ..FIRST };

const CONVERSATIONS: &[&[Step]] = &[
    &[first(Answered(Done)), again(Known), again(Known), NEXT],
    &[first(Cut), again(Known), NEXT],
    &[first(Killed), again(Unknown), again(Unknown), NEXT],
    &[first(Answered(Done)), OTHER, again(Unknown), NEXT],
    &[idempotent(first(Cut)), idempotent(again(Known))],
    &[
        idempotent(first(Killed)),
        idempotent(again(Done)),
        idempotent(again(Known)),
    ],
    &[idempotent(FIRST), idempotent(OTHER), idempotent(again(Done))],
];

/// Plays all conversations, each on a host of its own.
pub(super) fn check<H: Host>(new: impl Fn() -> H) {
    for conversation in CONVERSATIONS {
        let mut host = new();
        for (at, step) in conversation.iter().enumerate() {
            let before = host.done(step);
            let answer = host.play(step);
            let found = match (&answer, host.done(step) - before) {
                (Some(Ok(_)), 1) => Answered(Done),
                (Some(Ok(_)), 0) => Answered(Known),
                (Some(Err(ActionError::CutOff { .. })), 0) => Answered(Unknown),
                // Whether it was cut or killed shows in what comes next.
                (None, 1) => step.event,
                (_, times) => panic!("step {at} of {conversation:?}: {answer:?}, done {times} times"),
            };
            assert_eq!(found, step.event, "step {at} of {conversation:?}: {answer:?}");
        }
    }
}
