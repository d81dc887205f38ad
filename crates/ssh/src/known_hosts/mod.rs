//! Whether a host is who it says it is: the check of its key against `known_hosts` files.
//!
//! russh has a check of its own, which ignores `@revoked`, `@cert-authority`, wildcards and tabs, calls a key of another
//! algorithm unknown (a hole where new keys are accepted) and stops at the first malformed line. This one follows OpenSSH.
//! The check is stricter where any key or authority is recorded for a host: any other key is a changed one, whatever its
//! algorithm, and a key without a certificate is no new one.

mod certificate;
mod check;
mod error;
mod files;
mod line;
mod record;
mod revoked;

use std::path::Path;

use crate::policy::Policy;

pub(crate) use check::Check;
pub(crate) use error::HostKeyError;
pub(crate) use files::KnownHosts;
pub(crate) use line::fingerprint;
pub(crate) use record::{Found, RecordedAs, preferred_algorithms};

/// The keys that a text records for a host, on the port 22 and on another; for the fuzz targets.
pub(crate) fn recorded(text: &str, file: &Path) -> Vec<String> {
    let lines = line::parse(text, file);
    let hosts = [22, 2222].map(|port| RecordedAs::new("db1.example.com", port, None));
    let found: Vec<Found> = hosts
        .iter()
        .flat_map(|host| record::matching(&lines, file, host))
        .collect();
    let _ = preferred_algorithms(&found, &Policy::default());
    let shown = found.iter().map(|found| {
        let _ = record::judge(std::slice::from_ref(found), &found.key);
        format!("{} {}", found.place, error::Shown::of(&found.key))
    });
    shown.collect()
}

#[cfg(test)]
mod tests;
