//! The run lock of a host.
//!
//! An advisory lock on a file dies with the process that holds it, so a killed run never leaves one behind. The file's
//! content tells the next operator who holds it; it means nothing while nobody does.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use protocol::LockHolder;
use thiserror::Error;

use crate::words::words;

/// Why the lock could not be tried.
#[derive(Debug, Error)]
#[error("cannot {what} the lock file {path}: {}", words(source))]
pub(crate) struct LockError {
    what: &'static str,
    path: String,
    source: io::Error,
}

/// The lock, once it is held; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

/// Who got the lock.
#[derive(Debug)]
pub(crate) enum Taken {
    /// We did.
    Ours(RunLock),
    /// Somebody else holds it.
    Theirs(LockHolder),
}

/// Tries to take the lock.
pub(crate) fn take(path: &Path, holder: &LockHolder) -> Result<Taken, LockError> {
    let failed = |what| {
        move |source| LockError {
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
        // Whoever can open it can lock it: nobody but root may keep root's runs out.
        .mode(0o600)
        .open(path)
        .map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {
            let text = format!("{}\n{}\n{}\n", line(&holder.who), line(&holder.since), holder.run);
            file.set_len(0).map_err(failed("write"))?;
            file.write_all(text.as_bytes()).map_err(failed("write"))?;
            Ok(Taken::Ours(RunLock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => match read_holder(&mut file) {
            Some(holder) => Ok(Taken::Theirs(holder)),
            None => Err(failed("read")(io::Error::other(
                "it is held, and does not say by whom",
            ))),
        },
        Err(TryLockError::Error(source)) => Err(failed("take")(source)),
    }
}

/// One line of what may be several.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Who holds the lock. The holder writes its name right after it has taken the lock, so an empty file is looked at
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
        let Taken::Ours(lock) = take(&path, &holder("anna@laptop")).unwrap() else {
            panic!("nobody else is here");
        };
        match take(&path, &holder("ben@desk")).unwrap() {
            Taken::Theirs(other) => assert_eq!(other, holder("anna@laptop")),
            Taken::Ours(_) => panic!("two hold it"),
        }
        drop(lock);
        assert!(matches!(take(&path, &holder("b")).unwrap(), Taken::Ours(_)));
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_an_error_with_its_path() {
        let error = take(Path::new("/proc/none/lock"), &holder("a")).unwrap_err();
        assert!(error.to_string().contains("/proc/none"), "{error}");
    }
}
