//! The way to a host, whatever it is made of.
//!
//! A [`Transport`] opens a byte stream to a host at whose end an agent speaks; `ssh` does it for real, [`local`]
//! starts an agent as a child process, [`fake`] answers from memory, [`tap`] listens to another. A [`Session`] is the conversation over such
//! a stream: many requests in flight at once, answers in any order.

pub mod fake;
pub mod local;
mod secrets;
mod session;
pub mod tap;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use types::HostName;

pub use secrets::{HostSecrets, SecretStore};
pub use session::{Session, SessionError};

/// A stream to an agent. Closing the write side tells the agent to end.
pub struct AgentStream {
    /// What the agent says.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the agent hears.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// What the far side had to say when the stream broke: the tail of its standard error and its exit status. It is
    /// read once, after the stream has ended.
    pub epilogue: Pin<Box<dyn Future<Output = String> + Send>>,
}

/// Why a host has no stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What went wrong, in words, with the causes.
    pub message: String,
    /// What the operator can do; empty where there is nothing to say.
    pub hint: String,
    /// Whether trying again may help: a refused or reset connection, a time-out; never a wrong key.
    pub transient: bool,
}

/// A future in a box, as object-safe traits need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens streams to hosts.
pub trait Transport: Send + Sync {
    /// Opens a stream to a host's agent: one attempt, which comes to an end however silent the host is. Nobody else puts
    /// a time limit on it, for nobody else knows whether the operator is asked for a passphrase meanwhile.
    fn open<'a>(&'a self, host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>>;
}

/// How often and how patiently a connection is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each, with jitter.
    pub first_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_wait: Duration::from_millis(200),
        }
    }
}
