//! One connection a host a run.
//!
//! A session is opened when it is first needed and shared by everything that is done on its host. Where it was lost,
//! the next who needs it opens another, with patience for what is transient only. A new session is handed the run's
//! secrets and, where the run changes anything, takes the host's run lock before anybody uses it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::LockHolder;
use rand::RngExt;
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use transport::{ConnectError, Retry, Session, SessionError, Transport};
use types::{HostName, Secret, SecretId};

/// The sessions of a run.
pub struct Connections {
    transport: Arc<dyn Transport>,
    retry: Retry,
    secrets: Vec<(SecretId, Secret)>,
    sessions: BTreeMap<HostName, Mutex<Option<Session>>>,
    /// How many connections may be opened at once: each costs processor time here and there.
    opening: Semaphore,
    lock: Option<LockHolder>,
}

/// Why the run lock of a host is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{host} is locked by {} since {}, run {}", .holder.who, .holder.since, .holder.run)]
    Held {
        /// The host.
        host: HostName,
        /// Who has it.
        holder: LockHolder,
    },
    /// It could not be taken.
    #[error("the lock of {host} cannot be taken: {why}")]
    Failed {
        /// The host.
        host: HostName,
        /// What the agent said.
        why: String,
    },
}

impl Connections {
    /// Connections to these hosts, none of them opened yet.
    ///
    /// `width` is how many are opened at once. With a `lock`, each session takes its host's run lock.
    pub fn new(
        transport: Arc<dyn Transport>,
        hosts: impl IntoIterator<Item = HostName>,
        secrets: Vec<(SecretId, Secret)>,
        width: usize,
    ) -> Self {
        Self {
            transport,
            retry: Retry::default(),
            secrets,
            sessions: hosts.into_iter().map(|host| (host, Mutex::new(None))).collect(),
            opening: Semaphore::new(width.max(1)),
            lock: None,
        }
    }

    /// Changes how patiently connections are tried.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.sessions.keys()
    }

    /// Takes the run lock of every host that can be reached, in sorted order, so that of two runs one goes on; and of
    /// every session that is opened from now on. The first host that somebody else holds ends it; the locks that were
    /// taken are let go with their connections.
    pub async fn take_locks(&mut self, holder: LockHolder) -> Result<(), LockError> {
        for (host, session) in &self.sessions {
            let session = session.lock().await.clone().filter(|session| !session.is_over());
            if let Some(session) = session {
                take_lock(host, &session, &holder).await?;
            }
        }
        self.lock = Some(holder);
        Ok(())
    }

    /// The host's session, opened where there is none.
    pub async fn session(&self, host: &HostName) -> Result<Session, ConnectError> {
        let unknown = || fatal(format!("{host} is not a host of this run"));
        let mut slot = self.sessions.get(host).ok_or_else(unknown)?.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_over()) {
            return Ok(session.clone());
        }
        let session = self.open(host).await?;
        if let Some(holder) = &self.lock {
            take_lock(host, &session, holder)
                .await
                .map_err(|error| fatal(error.to_string()))?;
        }
        *slot = Some(session.clone());
        Ok(session)
    }

    async fn open(&self, host: &HostName) -> Result<Session, ConnectError> {
        let mut wait = self.retry.first_wait;
        for attempt in 1.. {
            match self.attempt(host).await {
                Err(error) if error.transient && attempt < self.retry.attempts => {
                    tracing::debug!(%host, attempt, error = %error.message, "connecting again");
                    tokio::time::sleep(jittered(wait)).await;
                    wait *= 2;
                }
                result => return result,
            }
        }
        Err(fatal("no attempt was made".to_owned()))
    }

    async fn attempt(&self, host: &HostName) -> Result<Session, ConnectError> {
        let _turn = self
            .opening
            .acquire()
            .await
            .map_err(|error| fatal(error.to_string()))?;
        let session = Session::start(self.transport.open(host).await?)
            .await
            .map_err(not_started)?;
        if !self.secrets.is_empty() {
            session.hand_over(&self.secrets).await.map_err(not_started)?;
        }
        Ok(session)
    }
}

async fn take_lock(host: &HostName, session: &Session, holder: &LockHolder) -> Result<(), LockError> {
    match session.take_lock(holder.clone()).await {
        Ok(None) => Ok(()),
        Ok(Some(other)) => Err(LockError::Held {
            host: host.clone(),
            holder: other,
        }),
        Err(error) => Err(LockError::Failed {
            host: host.clone(),
            why: error.to_string(),
        }),
    }
}

fn not_started(error: SessionError) -> ConnectError {
    // A stream that ends before the greeting may be a busy server's doing; the transport knows better where it can.
    let transient = matches!(error, SessionError::Lost(_));
    ConnectError {
        message: error.to_string(),
        hint: String::new(),
        transient,
    }
}

fn fatal(message: String) -> ConnectError {
    ConnectError {
        message,
        hint: String::new(),
        transient: false,
    }
}

/// Half to all of a wait, so that many hosts do not try again in step.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..1.0))
}
