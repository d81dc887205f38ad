//! The files that record keys of hosts: read once a run, and added to.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::PublicKey;

use super::error::HostKeyError;
use super::line::{self, Line, bare, fingerprint};
use super::record::{Found, Place, RecordedAs, Role, Verdict, judge, matching};

/// All that was read of `known_hosts` files in this run.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    files: Mutex<HashMap<PathBuf, Arc<Vec<Line>>>>,
}

impl KnownHosts {
    /// What the files record for a host.
    pub(crate) fn find(&self, files: &[PathBuf], host: &RecordedAs) -> Result<Vec<Found>, HostKeyError> {
        let mut found = Vec::new();
        for file in files {
            let mut known = self.lock();
            let lines = if let Some(lines) = known.get(file) {
                Arc::clone(lines)
            } else {
                let lines = Arc::new(read(file)?);
                known.insert(file.clone(), Arc::clone(&lines));
                lines
            };
            drop(known);
            found.extend(matching(&lines, file, host));
        }
        Ok(found)
    }

    /// Records a host's key at the end of a file, which is made where it is missing, unless somebody was faster. The
    /// answer is what the file now records for the host.
    pub(crate) fn record(
        &self,
        file: &Path,
        host: &RecordedAs,
        key: &PublicKey,
        is_hashed: bool,
    ) -> Result<Vec<Found>, HostKeyError> {
        // Held until it is written, so that of two first connections to a host one sees the other's key.
        let mut known = self.lock();
        known.remove(file);
        let mut found: Vec<Found> = matching(&read(file)?, file, host).collect();
        if judge(&found, key) != Verdict::Unknown {
            return Ok(found);
        }
        let names = if is_hashed {
            line::hashed(&host.name)
        } else {
            host.name.clone()
        };
        append(file, &format!("{names} {}\n", bare(key))).map_err(|source| HostKeyError::Record {
            name: host.name.clone(),
            file: file.to_owned(),
            source,
        })?;
        tracing::warn!(
            host = host.name,
            fingerprint = fingerprint(key),
            file = %file.display(),
            "recorded a new host key"
        );
        found.push(Found {
            key: key.clone(),
            role: Role::Host,
            is_plain: false,
            place: Place {
                file: file.to_owned(),
                line: 0,
            },
        });
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Vec<Line>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> Result<Vec<Line>, HostKeyError> {
    match read_bounded(file) {
        // A comment in another encoding is no reason to distrust the rest.
        Ok(bytes) => Ok(line::parse(&String::from_utf8_lossy(&bytes), file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(HostKeyError::Read {
            file: file.to_owned(),
            source,
        }),
    }
}

/// The most of a file of keys that is read: a hundred thousand of them.
const MOST_BYTES: u64 = 32 << 20;

pub(super) fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB",
            MOST_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// Adds a line to a file, whether or not that ends with a newline.
fn append(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    let mut last = [b'\n'];
    if open.seek(SeekFrom::End(-1)).is_ok() {
        // Nothing to read is as good as a newline: the file may be /dev/null.
        let _read = open.read(&mut last)?;
    }
    let newline = if last == [b'\n'] { "" } else { "\n" };
    // One write, so that other programs that append do not come in between.
    open.write_all(format!("{newline}{text}").as_bytes())
}
