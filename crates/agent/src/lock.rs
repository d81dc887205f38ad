//! The run lock of a host.
//!
//! An advisory lock on a file dies with the process that holds it, so a killed run never leaves one behind. The file's
//! content tells the next operator who holds it; it means nothing while nobody does. A command that runs on after its
//! agent was killed holds it too: the [`crate::record_file`] beside the lock names its process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::LockHolder;
use thiserror::Error;

use crate::record_file::{Found, RecordError, RecordFile};
use tree::error_text;

/// Why the lock could not be tried.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    #[error("cannot {what} the lock file {path}: {}", error_text(source))]
    Io {
        what: &'static str,
        path: String,
        source: io::Error,
    },
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The lock, once it is held; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
    /// What the run did here.
    pub(crate) record: Arc<RecordFile>,
}

/// The result of an attempt to take the lock.
#[derive(Debug)]
pub(crate) enum Taken {
    /// We did.
    Ours(RunLock),
    /// Somebody else holds it.
    Theirs(LockHolder),
}

/// Tries to take the lock. `had_lock` says whether the run has had it before.
pub(crate) fn take(path: &Path, holder: &LockHolder, had_lock: bool) -> Result<Taken, LockError> {
    let failed = |what| {
        move |source| LockError::Io {
            what,
            path: path.display().to_string(),
            source,
        }
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed("make the directory of"))?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // A user who can open the file can lock it: only root may keep root's runs out.
        .mode(0o600)
        .open(path)
        .map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {
            let found = Found::read(&path.with_extension("actions"))?;
            if let Some(process) = found.running() {
                let (program, pid) = (line(&process.program), process.pid);
                let mut other = read_holder(&mut file).ok_or_else(|| failed("read")(nobody()))?;
                other.who = format!("{}, whose {program} still runs as PID {pid}", other.who);
                return Ok(Taken::Theirs(other));
            }
            let record = Arc::new(found.open(&holder.run, had_lock)?);
            let text = format!("{}\n{}\n{}\n", line(&holder.who), line(&holder.since), holder.run);
            file.rewind().map_err(failed("write"))?;
            file.set_len(0).map_err(failed("write"))?;
            file.write_all(text.as_bytes()).map_err(failed("write"))?;
            Ok(Taken::Ours(RunLock { _file: file, record }))
        }
        Err(TryLockError::WouldBlock) => match read_holder(&mut file) {
            Some(holder) => Ok(Taken::Theirs(holder)),
            None => Err(failed("read")(nobody())),
        },
        Err(TryLockError::Error(source)) => Err(failed("take")(source)),
    }
}

fn nobody() -> io::Error {
    io::Error::other("it is held, and its file does not name the holder")
}

/// One line of what may be several.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The holder of the lock. It writes its name right after it has taken the lock, so an empty file is read
/// again for a moment.
fn read_holder(file: &mut File) -> Option<LockHolder> {
    for _ in 0..20 {
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        if let (Ok(_), Some(holder)) = (read, parse(&text)) {
            return Some(holder);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn parse(text: &str) -> Option<LockHolder> {
    let mut lines = text.strip_suffix('\n')?.lines();
    Some(LockHolder {
        who: lines.next()?.to_owned(),
        since: lines.next()?.to_owned(),
        run: lines.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(who: &str) -> LockHolder {
        LockHolder {
            who: who.into(),
            since: "2026-11-24T08:51:10Z".into(),
            run: "r1".parse().unwrap(),
        }
    }

    #[test]
    fn the_second_learns_who_the_first_is_and_gets_the_lock_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/on/demand/lock");
        let Taken::Ours(lock) = take(&path, &holder("anna@laptop"), false).unwrap() else {
            panic!("nobody else is here");
        };
        match take(&path, &holder("ben@desk"), false).unwrap() {
            Taken::Theirs(other) => assert_eq!(other, holder("anna@laptop")),
            Taken::Ours(_) => panic!("two hold it"),
        }
        drop(lock);
        assert!(matches!(
            take(&path, &holder("b"), false).unwrap(),
            Taken::Ours(_)
        ));
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_an_error_with_its_path() {
        let error = take(Path::new("/proc/none/lock"), &holder("a"), false).unwrap_err();
        assert!(error.to_string().contains("/proc/none"), "{error}");
    }
}
