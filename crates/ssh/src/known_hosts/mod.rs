//! Whether a host is who it says it is: the check of its key against `known_hosts` files.
//!
//! russh has a check of its own, which ignores `@revoked`, wildcards and tabs, calls a key of another algorithm unknown
//! (a hole where new keys are accepted) and stops at the first malformed line. This one follows OpenSSH, and is
//! stricter in one point: where any key is recorded for a host, any other key is a changed one, whatever its algorithm.

mod line;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use thiserror::Error;

use crate::error::Advice;
use line::Line;

/// Why a host's key is not trusted.
#[derive(Debug, Error)]
pub(crate) enum HostKeyError {
    /// Nothing is recorded for the host.
    #[error("the host key of {name} is not known: {shown}")]
    Unknown {
        name: String,
        shown: Shown,
        file: PathBuf,
    },
    /// Another key is recorded.
    #[error("the host key of {name} has CHANGED: it shows {shown}, but {place} records {recorded}")]
    Changed {
        name: String,
        shown: Shown,
        recorded: Shown,
        place: Place,
    },
    /// The key is revoked.
    #[error("the host key of {name} is revoked in {place}: {shown}")]
    Revoked {
        name: String,
        shown: Shown,
        place: Place,
    },
    /// A file cannot be read.
    #[error("cannot read {file}", file = file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A new key cannot be recorded.
    #[error("cannot record the host key of {name} in {file}", file = file.display())]
    Record {
        name: String,
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A key as people compare it.
#[derive(Debug)]
pub(crate) struct Shown(Box<PublicKey>);

impl Shown {
    fn of(key: &PublicKey) -> Self {
        Self(Box::new(key.clone()))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.algorithm(), fingerprint(&self.0))
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: PathBuf,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Advice for HostKeyError {
    fn hint(&self) -> String {
        match self {
            Self::Unknown { name, shown, file } => {
                let (port, host) = match name.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
                    Some((host, port)) => (format!("-p {port} "), host),
                    None => (String::new(), name.as_str()),
                };
                let algorithm = shown.0.algorithm();
                let kind = algorithm.as_str().trim_start_matches("ssh-").split('-').next().unwrap_or_default();
                format!(
                    "compare it with the output of `ssh-keygen -lf` for the host's key files (/etc/ssh/ssh_host_*.pub), \
                     then run again with --accept-new-host-keys, or record it with `ssh-keyscan {port}-t {kind} {host} \
                     >> {file}`",
                    file = file.display()
                )
            }
            Self::Changed { name, place, .. } => format!(
                "somebody may be listening in. If the host was really installed anew, forget its old key with \
                 `ssh-keygen -R '{name}' -f {file}`",
                file = place.file.display()
            ),
            Self::Revoked { .. } => "give the host a new key".to_owned(),
            Self::Read { .. } => String::new(),
            Self::Record { .. } => {
                "a key that is not recorded would be accepted from anybody the next time: make the file writable, or \
                 name another with UserKnownHostsFile"
                    .to_owned()
            }
        }
    }
}

/// The name under which a host's key is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedAs {
    /// The name, with the port where it is not 22: `[host]:2222`.
    name: String,
    /// The name without the port, under which an older record may stand.
    plain: Option<String>,
}

impl RecordedAs {
    /// The name of a host at an address; an alias stands for itself, without the port.
    pub(crate) fn new(address: &str, port: u16, alias: Option<&str>) -> Self {
        match alias {
            Some(alias) => Self {
                name: alias.to_ascii_lowercase(),
                plain: None,
            },
            None if port == 22 => Self {
                name: address.to_ascii_lowercase(),
                plain: None,
            },
            None => {
                let address = address.to_ascii_lowercase();
                Self {
                    name: format!("[{address}]:{port}"),
                    plain: Some(address),
                }
            }
        }
    }
}

/// What is recorded for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    key: PublicKey,
    is_revoked: bool,
    /// Under the name without the port: it can confirm a key, and not contradict one.
    is_plain: bool,
    place: Place,
}

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
            is_revoked: false,
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

/// The keys that a text records for a host, on the port 22 and on another; for the fuzz targets.
pub(crate) fn recorded(text: &str, file: &Path) -> Vec<String> {
    let lines = line::parse(text, file);
    let hosts = [22, 2222].map(|port| RecordedAs::new("db1.example.com", port, None));
    let found: Vec<Found> = hosts
        .iter()
        .flat_map(|host| matching(&lines, file, host))
        .collect();
    let _ = preferred_algorithms(&found);
    let shown = found.iter().map(|found| {
        let _ = judge(std::slice::from_ref(found), &found.key);
        format!("{} {}", found.place, Shown::of(&found.key))
    });
    shown.collect()
}

/// The most of a file of keys that is read: a hundred thousand of them.
const MOST_BYTES: u64 = 32 << 20;

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
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

/// The lines that are about a host.
fn matching<'a>(lines: &'a [Line], file: &'a Path, host: &'a RecordedAs) -> impl Iterator<Item = Found> + 'a {
    lines.iter().filter_map(move |line| {
        let is_plain = !line.names(&host.name);
        if is_plain && !host.plain.as_ref().is_some_and(|plain| line.names(plain)) {
            return None;
        }
        let is_revoked = match line.entry.marker() {
            // The key of an authority, and not of a host.
            Some(Marker::CertAuthority) => return None,
            Some(Marker::Revoked) => true,
            None => false,
        };
        Some(Found {
            key: line.entry.public_key().clone(),
            is_revoked,
            is_plain,
            place: Place {
                file: file.to_owned(),
                line: line.number,
            },
        })
    })
}

/// What the records say of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It is the host's.
    Known,
    /// Nothing is recorded.
    Unknown,
    /// Another one is recorded, here.
    Changed(&'a Found),
    /// It is revoked, here.
    Revoked(&'a Found),
}

/// Judges a key by the records.
pub(crate) fn judge<'a>(found: &'a [Found], key: &PublicKey) -> Verdict<'a> {
    let is_it = |record: &&Found| record.key.key_data() == key.key_data();
    if let Some(record) = found.iter().filter(is_it).find(|record| record.is_revoked) {
        return Verdict::Revoked(record);
    }
    let mut valid = found.iter().filter(|record| !record.is_revoked);
    if valid.clone().any(|record| is_it(&record)) {
        return Verdict::Known;
    }
    match valid.find(|record| !record.is_plain) {
        Some(record) => Verdict::Changed(record),
        None => Verdict::Unknown,
    }
}

/// The host key algorithms to ask for: those of the recorded keys first, so that a host with several keys shows one
/// that is known.
pub(crate) fn preferred_algorithms(found: &[Found]) -> Vec<Algorithm> {
    let mut algorithms: Vec<Algorithm> = Vec::new();
    let recorded = found.iter().filter(|record| !record.is_revoked);
    for algorithm in recorded.map(|record| record.key.algorithm()).flat_map(variants) {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    for algorithm in safe_algorithms() {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

/// The algorithms that a key signs with; RSA with SHA-1 is not among them.
fn variants(algorithm: Algorithm) -> Vec<Algorithm> {
    match algorithm {
        Algorithm::Rsa { .. } => vec![rsa(HashAlg::Sha512), rsa(HashAlg::Sha256)],
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => vec![algorithm],
        _ => Vec::new(),
    }
}

fn safe_algorithms() -> [Algorithm; 6] {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    [
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ]
}

fn rsa(hash: HashAlg) -> Algorithm {
    Algorithm::Rsa { hash: Some(hash) }
}

/// Checks one host's key, and records it where that is wanted.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) known_hosts: Arc<KnownHosts>,
    pub(crate) host: RecordedAs,
    pub(crate) found: Vec<Found>,
    /// Where a new key is recorded; also named in hints.
    pub(crate) new_keys: PathBuf,
    pub(crate) accept_new: bool,
    pub(crate) is_hashed: bool,
}

impl Check {
    /// Checks the key that the host shows.
    pub(crate) fn check(&mut self, key: &PublicKey) -> Result<(), HostKeyError> {
        let name = self.host.name.clone();
        let shown = Shown::of(key);
        match judge(&self.found, key) {
            Verdict::Known => Ok(()),
            Verdict::Revoked(record) => Err(HostKeyError::Revoked {
                name,
                shown,
                place: record.place.clone(),
            }),
            Verdict::Changed(record) => Err(HostKeyError::Changed {
                name,
                shown,
                recorded: Shown::of(&record.key),
                place: record.place.clone(),
            }),
            Verdict::Unknown if self.accept_new => self.accept(key),
            Verdict::Unknown => Err(HostKeyError::Unknown {
                name,
                shown,
                file: self.new_keys.clone(),
            }),
        }
    }

    fn accept(&mut self, key: &PublicKey) -> Result<(), HostKeyError> {
        // Also for a key exchange in the middle of the connection, which shows the key again.
        self.found = self
            .known_hosts
            .record(&self.new_keys, &self.host, key, self.is_hashed)?;
        // By now it is known, or changed since another connection recorded another.
        self.check(key)
    }
}

/// A key's fingerprint, as `ssh-keygen -l` prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A key without its comment, as a line of `known_hosts` has it.
fn bare(key: &PublicKey) -> String {
    PublicKey::new(key.key_data().clone(), "")
        .to_openssh()
        .unwrap_or_default()
        .trim_end()
        .to_owned()
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

#[cfg(test)]
mod tests;
