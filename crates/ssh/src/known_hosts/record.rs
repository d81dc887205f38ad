//! What files record for a host, and what that says of a key.

use std::fmt;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::known_hosts::Marker;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};

use super::line::Line;
use crate::policy::Policy;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            // A list that has no lines.
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// The name under which a host's key is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedAs {
    /// The name, with the port where it is not 22: `[host]:2222`.
    pub(super) name: String,
    /// The name without the port, under which an older record may stand.
    plain: Option<String>,
    /// The name that a host's certificate must hold, which never has a port.
    pub(super) principal: String,
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

/// A key that is recorded for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(super) key: PublicKey,
    pub(super) role: Role,
    /// Under the name without the port: it can confirm a key, and not contradict one.
    pub(super) is_plain: bool,
    pub(super) place: Place,
}

/// The owner of a recorded key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The host's.
    Host,
    /// That of an authority whose certificates for the host are believed.
    Authority,
    /// Nobody's to use any more.
    Revoked,
}

/// The lines that are about a host.
pub(super) fn matching<'a>(
    lines: &'a [Line],
    file: &'a Path,
    host: &'a RecordedAs,
) -> impl Iterator<Item = Found> + 'a {
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
pub(super) enum Verdict<'a> {
    /// The key is the host's.
    Known,
    /// Nothing is recorded.
    Unknown,
    /// Another one is recorded, here.
    Changed(&'a Found),
    /// The key is revoked, here.
    Revoked(&'a Found),
    /// Nothing but an authority is recorded, here.
    Unsigned(&'a Found),
}

/// Judges a key without a certificate by the records.
pub(super) fn judge<'a>(found: &'a [Found], key: &PublicKey) -> Verdict<'a> {
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
pub(super) fn revocation<'a>(found: &'a [Found], key: &KeyData) -> Option<&'a Found> {
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
