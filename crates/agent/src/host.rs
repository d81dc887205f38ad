//! What all requests of a connection share: the secrets, the options, and whether the connection still lives.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrets::Secrets;
use thiserror::Error;
use types::{Secret, SecretId};

use crate::bounds::Memory;
use crate::mutex::locked;
use crate::record_file::RecordFile;
use crate::stamps::Stamps;

/// Where the agent keeps what outlives it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory under which the files that were replaced are kept.
    pub backups: PathBuf,
    /// The file whose lock is the host's run lock.
    pub lock: PathBuf,
    /// The agent's own program, which starts the programs of actions once they are recorded; see [`crate::start`].
    /// Without it they are started at once, and one whose agent is killed at that very moment may not be known of.
    pub starter: Option<PathBuf>,
}

/// Arguments that the agent does not know.
#[derive(Debug, Error)]
#[error("unknown argument {0:?}; expected --backups DIR or --lock FILE")]
pub struct OptionsError(OsString);

impl Default for Options {
    /// The system's directories for root, the user's own for anybody else.
    fn default() -> Self {
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            return Self {
                backups: "/var/backups/clusterctl".into(),
                lock: "/run/clusterctl.lock".into(),
                starter: None,
            };
        }
        let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let state = directory("XDG_STATE_HOME")
            .or_else(|| Some(directory("HOME")?.join(".local/state")))
            .unwrap_or_else(|| format!("/var/tmp/clusterctl-{}", uid.as_raw()).into());
        let runtime = directory("XDG_RUNTIME_DIR").unwrap_or_else(|| state.clone());
        Self {
            backups: state.join("clusterctl/backups"),
            lock: runtime.join("clusterctl/run.lock"),
            starter: None,
        }
    }
}

impl Options {
    /// The defaults, changed by `--backups DIR` and `--lock FILE`.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let place = match name.to_str() {
                Some("--backups") => &mut options.backups,
                Some("--lock") => &mut options.lock,
                _ => return Err(OptionsError(name)),
            };
            *place = args.next().ok_or(OptionsError(name))?.into();
        }
        Ok(options)
    }
}

/// The host, as the threads that serve requests see it.
pub(crate) struct Host {
    /// Where things are kept.
    pub(crate) options: Options,
    /// What answers of servers may take.
    pub(crate) memory: Memory,
    secrets: Mutex<Secrets>,
    /// Set once the connection has ended. Beside the count under the mutex, because a loop that waits for a process
    /// checks it often.
    closing: AtomicBool,
    running: Mutex<Running>,
    ended: Condvar,
    /// What this run has done here, once the run lock is held.
    record: Mutex<Option<Arc<RecordFile>>>,
    /// Held while a stamp is added: actions run at the same time.
    stamping: Mutex<()>,
}

#[derive(Default)]
struct Running {
    facts: usize,
    actions: usize,
}

/// What a request does, as far as the end of the connection is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Facts, which may be abandoned.
    Facts,
    /// An action, which is waited for.
    Action,
}

impl Host {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            memory: Memory::default(),
            secrets: Mutex::default(),
            closing: AtomicBool::new(false),
            running: Mutex::default(),
            ended: Condvar::new(),
            record: Mutex::default(),
            stamping: Mutex::default(),
        }
    }

    /// What this run has done here; `None` where the run lock is not held.
    pub(crate) fn record(&self) -> Option<Arc<RecordFile>> {
        locked(&self.record).clone()
    }

    /// The run lock is held from now on.
    pub(crate) fn keep_record(&self, record: Arc<RecordFile>) {
        *locked(&self.record) = Some(record);
    }

    /// Adds to what processes were started with.
    pub(crate) fn stamp(&self, add: impl FnOnce(Stamps, &Path)) {
        let _alone = locked(&self.stamping);
        add(Stamps::read(&self.options.lock), &self.options.lock);
    }

    /// The secrets that are known now.
    pub(crate) fn secrets(&self) -> Secrets {
        locked(&self.secrets).clone()
    }

    /// Takes more secrets in.
    pub(crate) fn learn(&self, more: impl IntoIterator<Item = (SecretId, Secret)>) {
        let mut secrets = locked(&self.secrets);
        *secrets = secrets.with(more);
    }

    /// Whether the connection has ended: nothing new starts.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// The same as a flag, for loops that wait for a process.
    pub(crate) fn closing(&self) -> &AtomicBool {
        &self.closing
    }

    /// Does some work unless the connection has ended.
    pub(crate) fn run<T>(&self, work: Work, job: impl FnOnce() -> T) -> Option<T> {
        {
            let mut running = locked(&self.running);
            if self.is_closing() {
                return None;
            }
            *running.count(work) += 1;
        }
        let result = job();
        *locked(&self.running).count(work) -= 1;
        self.ended.notify_all();
        Some(result)
    }

    /// Ends the connection: waits for the actions without limit, and for the facts so long that the processes that they
    /// started are stopped.
    pub(crate) fn close(&self, patience: Duration) {
        let mut running = locked(&self.running);
        self.closing.store(true, Ordering::SeqCst);
        while running.actions > 0 {
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + patience;
        while running.facts > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.ended.wait_timeout(running, left);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Running {
    fn count(&mut self, work: Work) -> &mut usize {
        match work {
            Work::Facts => &mut self.facts,
            Work::Action => &mut self.actions,
        }
    }
}
