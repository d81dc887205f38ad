//! Why a host has no agent.

use std::fmt;
use std::time::Duration;

use russh::Error as Ssh;
use thiserror::Error;

use super::refusal::Refusal;
use crate::deadline::TimedOut;
use crate::error::{Advice, is_transient_ssh};

/// Why a host has no agent.
#[derive(Debug, Error)]
pub(crate) enum BootstrapError {
    /// The server does not open a session.
    #[error("{label} does not open a session")]
    Session {
        label: String,
        #[source]
        source: Ssh,
    },
    /// The connection broke.
    #[error("the connection to {label} broke while starting the agent: {said}")]
    Lost { label: String, said: String },
    /// The server runs no commands.
    #[error("{label} does not run commands over SSH")]
    NoExec { label: String },
    /// The host cannot take the agent in or start it.
    #[error("cannot start the agent on {label}: {refusal}")]
    Refused { label: String, refusal: Refusal },
    /// Something else than our command answered.
    #[error("{label} did not run the command that starts the agent; it said: {said}")]
    NotOurs { label: String, said: String },
    /// Something writes between the command and the agent.
    #[error("unexpected output from {label}, not from the agent: {said:?}")]
    Noise { label: String, said: String },
    /// Nothing more of the agent arrives.
    #[error(
        "sending the agent to {label} is stuck: it has {progress}, and got nothing more within {limit:?}"
    )]
    Stuck {
        label: String,
        progress: Progress,
        limit: Duration,
    },
    /// The start took too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// How an upload went that came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// What the host had at the beginning, and has now, in bytes.
    pub(super) from: usize,
    pub(super) arrived: usize,
    pub(super) total: usize,
    pub(super) took: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.took.as_millis().max(1);
        let came = self.arrived.saturating_sub(self.from);
        // Bits in a millisecond are kbit in a second.
        let rate = came as u128 * 8 / millis;
        let (arrived, total) = (self.arrived >> 10, self.total >> 10);
        write!(
            f,
            "{arrived} of {total} KiB after {} s ({rate} kbit/s)",
            self.took.as_secs()
        )
    }
}

impl Advice for BootstrapError {
    fn hint(&self) -> String {
        match self {
            Self::NoExec { .. } => {
                "the account may be restricted to other uses in sshd_config or authorized_keys \
                                    (ForceCommand, command=)"
                    .to_owned()
            }
            Self::Refused { label, refusal } => refusal.hint(label),
            Self::NotOurs { label, .. } => format!(
                "the login shell of {label} must run `sh`: look for ForceCommand, command= in authorized_keys, \
                 /usr/sbin/nologin, or an `exit` in its start-up files"
            ),
            Self::Noise { .. } => {
                "a wrapper around sudo or the shell may be printing to its standard output".to_owned()
            }
            Self::Stuck { .. } => {
                "what arrived is kept on the host for a day, and the next attempt goes on from there; a link \
                                   that pauses for longer needs a longer ConnectTimeout in ~/.ssh/config"
                    .to_owned()
            }
            Self::Session { .. } | Self::Lost { .. } | Self::TimedOut(_) => String::new(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Session { source, .. } => is_transient_ssh(source),
            Self::Lost { .. } | Self::Stuck { .. } | Self::TimedOut(_) => true,
            _ => false,
        }
    }
}
