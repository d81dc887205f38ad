//! Whether a host is who it says it is: the check of its key against `known_hosts` files.
//!
//! russh has a check of its own, which ignores `@revoked`, `@cert-authority`, wildcards and tabs, calls a key of another
//! algorithm unknown (a hole where new keys are accepted) and stops at the first malformed line. This one follows OpenSSH.
//! It is stricter where any key or authority is recorded for a host: any other key is a changed one, whatever its
//! algorithm, and a key without a certificate is no new one.

mod certificate;
mod error;
mod line;
mod revoked;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::policy::{Policy, rsa_bits};
use certificate::Fault;
use error::Shown;
pub(crate) use error::{HostKeyError, Place};
use line::Line;

/// The name under which a host's key is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedAs {
    /// The name, with the port where it is not 22: `[host]:2222`.
    name: String,
    /// The name without the port, under which an older record may stand.
    plain: Option<String>,
    /// The name that a host's certificate must hold, which never has a port.
    principal: String,
}

impl RecordedAs {
    /// The name of a host at an address; an alias stands for itself, without the port.
    pub(crate) fn new(address: &str, port: u16, alias: Option<&str>) -> Self {
        let principal = alias.unwrap_or(address).to_ascii_lowercase();
        let (name, plain) = match (alias, port) {
            (Some(_), _) | (None, 22) => (principal.clone(), None),
            (None, port) => (format!("[{principal}]:{port}"), Some(principal.clone())),
        };
        Self {
            name,
            plain,
            principal,
        }
    }
}

/// What is recorded for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    key: PublicKey,
    role: Role,
    /// Under the name without the port: it can confirm a key, and not contradict one.
    is_plain: bool,
    place: Place,
}

/// Whose a recorded key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The host's.
    Host,
    /// That of an authority whose certificates for the host are believed.
    Authority,
    /// Nobody's to use any more.
    Revoked,
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

/// The keys that a text records for a host, on the port 22 and on another; for the fuzz targets.
pub(crate) fn recorded(text: &str, file: &Path) -> Vec<String> {
    let lines = line::parse(text, file);
    let hosts = [22, 2222].map(|port| RecordedAs::new("db1.example.com", port, None));
    let found: Vec<Found> = hosts
        .iter()
        .flat_map(|host| matching(&lines, file, host))
        .collect();
    let _ = preferred_algorithms(&found, &Policy::default());
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
        let role = match line.entry.marker() {
            Some(Marker::CertAuthority) => Role::Authority,
            Some(Marker::Revoked) => Role::Revoked,
            None => Role::Host,
        };
        Some(Found {
            key: line.entry.public_key().clone(),
            role,
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
    /// Nothing but an authority is recorded, here.
    Unsigned(&'a Found),
}

/// Judges a key without a certificate by the records.
pub(crate) fn judge<'a>(found: &'a [Found], key: &PublicKey) -> Verdict<'a> {
    if let Some(record) = revocation(found, key.key_data()) {
        return Verdict::Revoked(record);
    }
    let of = |role| found.iter().filter(move |record| record.role == role);
    if of(Role::Host).any(|record| record.key.key_data() == key.key_data()) {
        return Verdict::Known;
    }
    let contradicts = |record: &&Found| !record.is_plain;
    match (
        of(Role::Host).find(contradicts),
        of(Role::Authority).find(contradicts),
    ) {
        (Some(record), _) => Verdict::Changed(record),
        (None, Some(authority)) => Verdict::Unsigned(authority),
        (None, None) => Verdict::Unknown,
    }
}

/// The record that revokes a key, of a host or an authority.
fn revocation<'a>(found: &'a [Found], key: &KeyData) -> Option<&'a Found> {
    let mut revoked = found.iter().filter(|record| record.role == Role::Revoked);
    revoked.find(|record| record.key.key_data() == key)
}

/// What a host is asked to prove itself with, the best first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AskedFor {
    pub(crate) keys: Vec<Algorithm>,
    /// Of certificates, which go before keys. Only where an authority is recorded for the host: from others a
    /// certificate is worth no more than its key.
    pub(crate) certificates: Vec<Algorithm>,
}

/// What to ask for, of what is permitted: the algorithms of the recorded keys first, so that a host with several keys
/// shows one that is known.
pub(crate) fn preferred_algorithms(found: &[Found], policy: &Policy) -> AskedFor {
    let recorded = |algorithm: &Algorithm| {
        found.iter().any(|record| {
            record.role == Role::Host
                && match record.key.algorithm() {
                    Algorithm::Rsa { .. } => matches!(algorithm, Algorithm::Rsa { .. }),
                    other => other == *algorithm,
                }
        })
    };
    let (mut keys, others): (Vec<_>, Vec<_>) = policy.host_keys.iter().cloned().partition(recorded);
    keys.extend(others);
    let has_authority = found.iter().any(|record| record.role == Role::Authority);
    // Where nothing but certificates is permitted, a key in one may still be recorded.
    let wants_certificates = has_authority || keys.is_empty();
    AskedFor {
        keys,
        certificates: if wants_certificates {
            policy.host_certificates.clone()
        } else {
            Vec::new()
        },
    }
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
    pub(crate) policy: Policy,
    /// Files of keys that no host may show.
    pub(crate) revoked_keys: Vec<PathBuf>,
}

impl Check {
    /// Checks that what the host shows is not among the keys that the operator's files revoke.
    pub(crate) async fn check_revoked(&self, shown: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        for file in &self.revoked_keys {
            let name = self.host.name.clone();
            let file = file.clone();
            match revoked::line(&file, shown).await {
                Ok(None) => {}
                Ok(Some(line)) => {
                    return Err(HostKeyError::Revoked {
                        name,
                        shown: Shown::of(&shown.public_key()),
                        place: Place { file, line },
                    });
                }
                Err(why) => return Err(HostKeyError::Revocations { name, file, why }),
            }
        }
        Ok(())
    }

    /// Checks the key or the certificate that the host shows.
    pub(crate) fn check(&mut self, shown: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        let key = shown.public_key();
        self.permit(shown)?;
        let Some(certificate) = shown.certificate() else {
            return self.check_key(&key);
        };
        // No certificate makes up for a key that is in the wrong hands.
        if let Verdict::Revoked(_) = judge(&self.found, &key) {
            return self.check_key(&key);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let fault = match certificate::judge(certificate, &self.found, &self.host, &self.policy, now) {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        // A certificate holds a key that may be recorded by itself, as with OpenSSH; which refuses what a revoked
        // authority signed in any case.
        let is_recorded = judge(&self.found, &key) == Verdict::Known && !matches!(fault, Fault::Revoked(_));
        if is_recorded {
            tracing::debug!(host = self.host.name, %fault, "the key is recorded, its certificate does not count");
            return Ok(());
        }
        Err(HostKeyError::Certificate {
            name: self.host.name.clone(),
            fault,
        })
    }

    /// A server may show what was not asked for.
    fn permit(&self, shown: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        let key = &shown.public_key();
        let permitted = match shown {
            PublicKeyOrCertificate::PublicKey { .. } => &self.policy.host_keys,
            PublicKeyOrCertificate::Certificate(_) => &self.policy.host_certificates,
        };
        let is_permitted = |algorithm: &Algorithm| match key.key_data() {
            KeyData::Rsa(_) => matches!(algorithm, Algorithm::Rsa { .. }),
            KeyData::Ed25519(_) | KeyData::Ecdsa(_) => *algorithm == key.algorithm(),
            _ => false,
        };
        let why = if !permitted.iter().any(is_permitted) {
            "an algorithm that HostKeyAlgorithms does not permit".to_owned()
        } else if !self.policy.permits_size(key.key_data()) {
            format!(
                "of {} bits where RequiredRSASize is {}",
                rsa_bits(key.key_data()).unwrap_or_default(),
                self.policy.rsa_bits
            )
        } else {
            return Ok(());
        };
        Err(HostKeyError::Forbidden {
            name: self.host.name.clone(),
            shown: Shown::of(key),
            why,
        })
    }

    fn check_key(&mut self, key: &PublicKey) -> Result<(), HostKeyError> {
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
            Verdict::Unsigned(record) => Err(HostKeyError::Unsigned {
                name,
                shown,
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
        self.found = self
            .known_hosts
            .record(&self.new_keys, &self.host, key, self.is_hashed)?;
        // By now it is known, or changed since another connection recorded another.
        self.check_key(key)
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
