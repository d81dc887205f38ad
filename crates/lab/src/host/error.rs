//! What can go wrong with one host.

use std::path::PathBuf;
use std::time::Duration;

use crate::{CgroupError, CmdError, FileError, MountError, NetError, SshFilesError, WaitError};

/// A host that could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the host.
    #[error("cannot keep the host's files")]
    File(#[from] FileError),
    /// A tool failed.
    #[error("cannot run the host")]
    Command(#[from] CmdError),
    /// Its root file system.
    #[error("cannot set up the host's root file system")]
    Mount(#[from] MountError),
    /// Its network.
    #[error("cannot connect the host")]
    Net(#[from] NetError),
    /// Its processes.
    #[error("cannot control the host's processes")]
    Cgroup(#[from] CgroupError),
    /// Its keys.
    #[error("cannot make the host's key")]
    Key(#[from] SshFilesError),
    /// A wait was over.
    #[error("the host does not answer")]
    Wait(#[from] WaitError),
    /// Its container ended while it booted.
    #[error("its container ended while it booted; {}, at its end, says:\n{tail}", log.display())]
    Died {
        /// The console's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// It takes no logins.
    #[error(
        "it took no login within {} s of its start ({problem}); {}, at its end, says:\n{tail}",
        limit.as_secs(), log.display()
    )]
    NotUp {
        /// The time it had.
        limit: Duration,
        /// The missing condition.
        problem: String,
        /// The console's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// It does not run.
    #[error("it does not run")]
    NotRunning,
}
