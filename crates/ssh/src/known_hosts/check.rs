//! The check of the key or the certificate that a host shows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey, PublicKeyOrCertificate};

use super::certificate::{self, Fault};
use super::error::{HostKeyError, Shown};
use super::files::KnownHosts;
use super::record::{Found, Place, RecordedAs, Verdict, judge};
use super::revoked;
use crate::policy::{Policy, rsa_bits};

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

    pub(super) fn check_key(&mut self, key: &PublicKey) -> Result<(), HostKeyError> {
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
