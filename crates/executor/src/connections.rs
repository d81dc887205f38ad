//! One connection a host a run.
//!
//! - A session is opened when it is first needed, and shared by everything that is done on its host.
//! - Where it was lost, another is opened when one is needed; only transient errors are retried.
//! - Where the run changes anything, a new session takes the host's run lock before it is used.
//! - A host is handed only the secrets that its own requests refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use protocol::{ActionId, LockHolder};
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use transport::{ConnectError, HostSecrets, Retry, SecretStore, Session, SessionError, Transport};
use types::{HostName, NodeId, Secret, SecretId};

/// How long an agent may take to greet, and to answer about its lock or a unit: none of it is work.
pub(crate) const CONTROL_LIMIT: Duration = Duration::from_secs(30);

/// How long a lock is waited for that this run itself holds. An agent whose connection was cut finishes its action up to
/// the next safe point, and has the lock until then.
const OWN_LOCK: Duration = Duration::from_mins(2);

/// The interval between two attempts to take a lock.
const LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// The sessions of a run.
pub struct Connections {
    transport: Arc<dyn Transport>,
    retry: Retry,
    sessions: BTreeMap<HostName, Mutex<Option<Session>>>,
    /// What each host may know; it outlives the host's sessions.
    secrets: BTreeMap<HostName, HostSecrets>,
    /// How many connections may be opened at once: each costs processor time here and there.
    opening: Semaphore,
    lock: Option<LockHolder>,
    /// The hosts whose lock this run has had: their agents must know of every action that was sent.
    locked: SyncMutex<BTreeSet<HostName>>,
    /// How many actions were numbered.
    actions: AtomicU32,
}

/// Why the run lock of a host is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LockError {
    /// Another run has it.
    #[error("{host} is locked by {} since {}, run {}", .holder.who, .holder.since, .holder.run)]
    Held {
        /// The host.
        host: HostName,
        /// The operator and the run that have it.
        holder: LockHolder,
    },
    /// It cannot be taken, for a reason of the host's own, such as a full file system under the lock file.
    #[error("the run lock of {host} cannot be taken: {why}; nothing is changed there without it")]
    Failed {
        /// The host.
        host: HostName,
        /// The error of the agent.
        why: String,
    },
}

impl Connections {
    /// Connections to these hosts, none of them opened yet.
    ///
    /// Of the secrets each host is handed those that its own requests refer to. `width` is how many connections are opened
    /// at once.
    pub fn new(
        transport: Arc<dyn Transport>,
        hosts: impl IntoIterator<Item = HostName>,
        secrets: Vec<(SecretId, Secret)>,
        width: usize,
    ) -> Self {
        let store: SecretStore = secrets.into_iter().collect();
        let sessions: BTreeMap<HostName, _> =
            hosts.into_iter().map(|host| (host, Mutex::new(None))).collect();
        Self {
            transport,
            retry: Retry::default(),
            secrets: sessions
                .keys()
                .map(|host| (host.clone(), store.for_host()))
                .collect(),
            sessions,
            opening: Semaphore::new(width.max(1)),
            lock: None,
            locked: SyncMutex::default(),
            actions: AtomicU32::new(0),
        }
    }

    /// Changes how often connections are tried.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The secrets that a host's requests referred to so far.
    pub fn referred(&self, host: &HostName) -> BTreeSet<SecretId> {
        self.secrets
            .get(host)
            .map(HostSecrets::referred)
            .unwrap_or_default()
    }

    /// The hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.sessions.keys()
    }

    /// Takes the run lock of every host that can be reached, in sorted order, so that one of two runs gets all; and of
    /// every session that is opened from now on, so also where one is lost meanwhile. The first host that another run
    /// has locked ends it; the locks that were taken are released with their connections.
    pub async fn take_locks(&mut self, holder: LockHolder) -> Result<(), LockError> {
        for (host, session) in &self.sessions {
            let session = session.lock().await.clone().filter(|session| !session.is_over());
            if let Some(session) = session {
                match self.take_lock(host, &session, &holder).await {
                    Err(LockTrouble::Final(error)) => return Err(error),
                    Err(LockTrouble::Lost(why)) => {
                        tracing::debug!(%host, why, "lost before its lock was taken");
                    }
                    Ok(()) => {}
                }
            }
        }
        self.lock = Some(holder);
        Ok(())
    }

    /// Takes the locks as [`Self::take_locks`] does, and waits at most so long for another run that has one; each holder is
    /// reported once. That run may have changed the hosts meanwhile, so they must be observed again.
    ///
    /// # Errors
    ///
    /// Those of [`Self::take_locks`]; where another run has a lock, after that time.
    pub async fn wait_for_locks(
        &mut self,
        holder: LockHolder,
        patience: Duration,
        mut report: impl FnMut(&LockError),
    ) -> Result<(), LockError> {
        let deadline = after(patience);
        let mut reported: Option<LockError> = None;
        loop {
            match self.take_locks(holder.clone()).await {
                Ok(()) => return Ok(()),
                Err(held @ LockError::Held { .. }) if Instant::now() < deadline => {
                    if reported.as_ref() != Some(&held) {
                        report(&held);
                        reported = Some(held);
                    }
                    sleep_until(deadline.min(Instant::now() + LOCK_INTERVAL)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The host's session, opened where there is none, with patience for what is transient.
    pub async fn session(&self, host: &HostName) -> Result<Session, ConnectError> {
        self.session_within(host, self.retry.attempts).await
    }

    /// The host's session, opened in one attempt where there is none: for a caller that asks again anyway.
    pub(crate) async fn session_at_once(&self, host: &HostName) -> Result<Session, ConnectError> {
        self.session_within(host, 1).await
    }

    async fn session_within(&self, host: &HostName, attempts: u32) -> Result<Session, ConnectError> {
        let unknown = || fatal(format!("{host} is not a host of this run"));
        let mut slot = self.sessions.get(host).ok_or_else(unknown)?.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_over()) {
            return Ok(session.clone());
        }
        *slot = None;
        let session = self.open(host, attempts).await?;
        *slot = Some(session.clone());
        Ok(session)
    }

    async fn open(&self, host: &HostName, attempts: u32) -> Result<Session, ConnectError> {
        for attempt in 1.. {
            match self.attempt(host).await {
                Err(error) if error.transient && attempt < attempts => {
                    tracing::debug!(%host, attempt, error = %error.message, "connecting again");
                    sleep(self.pause(host, attempt)).await;
                }
                result => return result,
            }
        }
        Err(fatal("no attempt was made".to_owned()))
    }

    /// The wait after so many attempts: it doubles with each. Of its second half each host has another share, always
    /// the same, so that many hosts do not try again in step and a run can be repeated to the instant.
    pub(crate) fn pause(&self, host: &HostName, attempts: u32) -> Duration {
        let mut hasher = DefaultHasher::new();
        (host, attempts).hash(&mut hasher);
        let share = u32::from(hasher.finish().to_le_bytes()[0]);
        let doublings = attempts.saturating_sub(1).min(16);
        let wait = self.retry.first_wait * 2_u32.pow(doublings);
        wait / 2 + wait / 2 * share / 256
    }

    async fn attempt(&self, host: &HostName) -> Result<Session, ConnectError> {
        let session = self.start(host).await?;
        if let Some(holder) = &self.lock {
            match self.take_lock(host, &session, holder).await {
                Err(LockTrouble::Lost(why)) => return Err(not_started(&SessionError::Lost(why))),
                Err(LockTrouble::Final(error)) => return Err(fatal(error.to_string())),
                Ok(()) => {}
            }
        }
        Ok(session)
    }

    /// A session with an agent that has greeted. A transport ends its attempts by itself, for it knows whether the operator
    /// is typing a passphrase; what the agent does afterwards has a time limit here.
    async fn start(&self, host: &HostName) -> Result<Session, ConnectError> {
        let _turn = self
            .opening
            .acquire()
            .await
            .map_err(|error| fatal(error.to_string()))?;
        let secrets = self.secrets.get(host).cloned().unwrap_or_default();
        let greeting = Session::start_with(self.transport.open(host).await?, secrets);
        let silent = || SessionError::Lost(format!("no greeting within {} s", CONTROL_LIMIT.as_secs()));
        timeout(CONTROL_LIMIT, greeting)
            .await
            .unwrap_or_else(|_| Err(silent()))
            .map_err(|error| not_started(&error))
    }

    /// Takes a host's run lock. The agent is told whether this run has had it before.
    async fn take_lock(
        &self,
        host: &HostName,
        session: &Session,
        holder: &LockHolder,
    ) -> Result<(), LockTrouble> {
        let began = Instant::now();
        let had_lock = self.locked().contains(host);
        loop {
            match answer_within(
                session,
                CONTROL_LIMIT,
                session.take_lock(holder.clone(), had_lock),
            )
            .await
            {
                Ok(None) => {
                    self.locked().insert(host.clone());
                    return Ok(());
                }
                Ok(Some(other)) if other.run == holder.run && began.elapsed() < OWN_LOCK => {
                    tracing::debug!(%host, "an agent of this run that was cut off still has the lock");
                    sleep(LOCK_INTERVAL).await;
                }
                Ok(Some(other)) => {
                    let host = host.clone();
                    return Err(LockTrouble::Final(LockError::Held { host, holder: other }));
                }
                Err(SessionError::Lost(why)) => return Err(LockTrouble::Lost(why)),
                Err(error) => {
                    return Err(LockTrouble::Final(LockError::Failed {
                        host: host.clone(),
                        why: error.to_string(),
                    }));
                }
            }
        }
    }

    /// The name of a node's next action. No two actions of a run have the same, however many plans it carries out.
    pub(crate) fn next_action(&self, node: &NodeId) -> ActionId {
        ActionId {
            node: node.clone(),
            number: self.actions.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeSet<HostName>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer. The connection of an agent that is silent for that long is closed, for all that share it: a lost
/// connection can be opened again, one that hangs cannot.
pub(crate) async fn answer_within<T>(
    session: &Session,
    limit: Duration,
    asked: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let Ok(answer) = timeout(limit, asked).await else {
        let why = no_answer(limit);
        session.abandon(&why);
        return Err(SessionError::Lost(why));
    };
    answer
}

pub(crate) fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

/// Why a lock was not taken.
enum LockTrouble {
    /// The connection is gone: the next one may fare better.
    Lost(String),
    Final(LockError),
}

fn not_started(error: &SessionError) -> ConnectError {
    // A stream that ends before the greeting may be a busy server's doing; the transport knows better where it can.
    let transient = matches!(error, SessionError::Lost(_));
    ConnectError {
        message: error.to_string(),
        hint: String::new(),
        transient,
    }
}

/// The moment after a time from now; a hundred years from now where no clock can hold it.
pub(crate) fn after(time: Duration) -> Instant {
    const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + FOREVER)
}

fn fatal(message: String) -> ConnectError {
    ConnectError {
        message,
        hint: String::new(),
        transient: false,
    }
}
