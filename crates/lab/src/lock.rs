//! Locks between processes: two lab commands at once take turns, and a killed one holds nothing.
//!
//! The lock is on the directory that a command works in, so there are no lock files to be left behind.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Progress;
use crate::wait::{self, WaitError};

/// A lock that was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The directory could not be opened or locked.
    #[error("cannot lock {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process holds it for too long.
    #[error("another lab command is still at work")]
    Busy(#[from] WaitError),
}

/// A held lock; the kernel lets it go with this value, or with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _directory: File,
}

impl Lock {
    /// Takes the lock, and says so where it has to wait for another process.
    pub(crate) fn take(path: &Path, limit: Duration, progress: &Progress) -> Result<Self, LockError> {
        let mut said = false;
        wait::until(format!("the lock {}", path.display()), limit, || {
            let held = Self::attempt(path).map_err(|source| LockError::Directory {
                path: path.to_owned(),
                source,
            })?;
            if held.is_none() && !said {
                progress("waiting for another lab command to end");
                said = true;
            }
            Ok(held)
        })
    }

    fn attempt(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A purge deletes the lab's directory: a lock on what is gone protects nothing.
        let own = file.metadata()?.ino();
        let same = std::fs::metadata(path).is_ok_and(|now| now.ino() == own);
        Ok(same.then_some(Self { _directory: file }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lock_is_held_once_and_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let quiet: Progress = Arc::new(|_: &str| {});
        let held = Lock::take(path, Duration::ZERO, &quiet).unwrap();
        assert!(matches!(
            Lock::take(path, Duration::ZERO, &quiet),
            Err(LockError::Busy(_))
        ));
        drop(held);
        Lock::take(path, Duration::ZERO, &quiet).unwrap();
    }
}
