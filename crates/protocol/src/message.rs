//! The conversation: the agent says [`Hello`], then answers each request by its number, in any order.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{RunId, Secret};

use crate::{ActionError, ActionRequest, Change, Fact, FactError, FactQuery};

/// The agent's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::VERSION`] of the agent.
    pub version: u32,
    /// The agent's process id.
    pub pid: u32,
    /// The effective user; 0 is root.
    pub uid: u32,
    /// What secrets are sealed with: the public half of a key pair that the agent made when it started.
    pub key: SealingKey,
}

/// A public key that secrets are sealed with, for one agent and one connection (X25519).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey(pub [u8; 32]);

/// Secrets that only the agent can read that they were sealed for. What stands between controller and agent sees them
/// pass: sudo's log of its input (`log_input`), a proxy of the session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// What the agent's private key makes the key of `content` from.
    pub encapsulated: [u8; 32],
    /// Encrypted and authenticated.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.content.len())
    }
}

/// The number by which a response finds its request; unique within a connection.
pub type RequestId = u32;

/// A frame from the controller.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToAgent {
    /// The request's number.
    pub id: RequestId,
    /// The request.
    pub request: Request,
}

/// A frame from the agent, after its [`Hello`].
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct ToController {
    /// The number of the request that this answers.
    pub id: RequestId,
    /// The answer.
    pub response: Response,
}

/// What the controller asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Hands over the secrets that later requests name. Adds to those handed over before.
    Secrets(Sealed),
    /// Takes the run lock of the host; it is held until the connection ends.
    Lock {
        /// The new holder.
        holder: LockHolder,
        /// Whether this run has had it before, over a connection that was lost.
        had_lock: bool,
    },
    /// Answers queries, all at once.
    Gather(Vec<FactQuery>),
    /// Makes a change, under the run lock that this connection holds.
    Act(Box<ActionRequest>),
    /// Says that the controller is still there. The only one that has no answer.
    Heartbeat,
}

/// After this long without a request the controller sends a [`Request::Heartbeat`].
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// After this long without a byte from the controller the agent ends, as where the connection had ended, and with it the run
/// lock: the host was cut off, or the controller was suspended. It is longer than a controller takes by default to notice
/// that the host is silent.
pub const SILENCE: Duration = Duration::from_secs(90);

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// The secrets are taken.
    Ready,
    /// The lock is held, by us.
    Locked,
    /// The lock is held by somebody else.
    LockedBy(LockHolder),
    /// An answer for each query, in order.
    Facts(Vec<Result<Fact, FactError>>),
    /// What the action did.
    Acted(Result<Change, ActionError>),
    /// The request could not be served at all, and why.
    Failed(String),
}

/// The longest message for people, in bytes: some screens full. A program's last lines may be megabytes long.
const MESSAGE: usize = 16 << 10;

impl Response {
    /// Cuts the messages for people to a length that can be printed and kept. The agent cuts what it sends, after the
    /// secrets in it are hidden; the controller does not rely on that.
    pub fn cut_messages(&mut self) {
        self.for_each_message(cut);
    }

    /// Shows all messages for people, to be changed. What facts say is none.
    pub fn for_each_message(&mut self, mut see: impl FnMut(&mut String)) {
        match self {
            Self::Ready | Self::Locked => {}
            Self::LockedBy(LockHolder { who, since, run: _ }) => {
                see(who);
                see(since);
            }
            Self::Facts(answers) => {
                for FactError { message } in answers.iter_mut().filter_map(|answer| answer.as_mut().err()) {
                    see(message);
                }
            }
            Self::Acted(Ok(Change {
                summary,
                backup,
                wrote: _,
            })) => {
                see(summary);
                backup.iter_mut().for_each(see);
            }
            Self::Acted(Err(error)) => see(error.words()),
            Self::Failed(why) => see(why),
        }
    }
}

fn cut(message: &mut String) {
    if message.len() > MESSAGE {
        message.truncate(message.floor_char_boundary(MESSAGE));
        message.push('…');
        message.shrink_to_fit();
    }
}

/// The holder of a host's run lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The operator: `user@controller`.
    pub who: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Which run.
    pub run: RunId,
}

/// A secret's value on its way to the agent: the one place where a secret is serialised, and only to be sealed.
#[derive(Clone)]
pub struct SecretValue(pub Secret);

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for SecretValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_response_are_cut() {
        let long = || "ä".repeat(1 << 20);
        let run = "r1".parse().unwrap();
        let holder = LockHolder {
            who: long(),
            since: long(),
            run,
        };
        let change = Change {
            summary: long(),
            backup: Some(long()),
            wrote: None,
        };
        let timed_out = ActionError::TimedOut {
            what: long(),
            limit_ms: 1,
        };
        let responses = [
            Response::LockedBy(holder),
            Response::Facts(vec![Err(FactError { message: long() })]),
            Response::Acted(Ok(change)),
            Response::Acted(Err(ActionError::Changed { what: long() })),
            Response::Acted(Err(timed_out)),
            Response::Acted(Err(ActionError::Failed { message: long() })),
            Response::Failed(long()),
        ];
        for mut response in responses {
            response.cut_messages();
            assert!(postcard::to_stdvec(&response).unwrap().len() < 3 * MESSAGE);
        }
    }
}
