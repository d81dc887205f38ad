//! Why a host's key is not trusted, in words that help.

use std::fmt;
use std::io;
use std::path::PathBuf;

use russh::keys::PublicKey;
use thiserror::Error;

use super::certificate::Fault;
use super::line::fingerprint;
use super::record::Place;
use crate::error::Advice;

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
    /// The host shows a certificate that is not to be believed, and its key is not recorded by itself.
    #[error("the host certificate of {name} is not accepted: {fault}")]
    Certificate { name: String, fault: Fault },
    /// An authority is recorded for the host, and the host shows a key without a certificate.
    #[error("{name} shows no host certificate, and {place} names an authority for it: {shown}")]
    Unsigned {
        name: String,
        shown: Shown,
        place: Place,
    },
    /// The key is of a kind or a size that is not permitted.
    #[error("the host key of {name} is not permitted: {shown}, {why}")]
    Forbidden { name: String, shown: Shown, why: String },
    /// The file of revoked keys is of no use.
    #[error("cannot check whether the host key of {name} is revoked: {file}, which OpenSSH's configuration names as \
             RevokedHostKeys, {why}", file = file.display())]
    Revocations {
        name: String,
        file: PathBuf,
        why: String,
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
    pub(super) fn of(key: &PublicKey) -> Self {
        Self(Box::new(key.clone()))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.algorithm(), fingerprint(&self.0))
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
                "somebody may be listening in. If the host was reinstalled, forget its old key with \
                 `ssh-keygen -R '{name}' -f {file}`",
                file = place.file.display()
            ),
            Self::Revoked { .. } => "give the host a new key".to_owned(),
            Self::Certificate { .. } => {
                "have the host's key signed again by its authority (`ssh-keygen -s CA -h -n NAME`), or record the key itself \
                 in known_hosts"
                    .to_owned()
            }
            Self::Unsigned { .. } => {
                "have the host's key signed by the authority and named as HostCertificate in its sshd_config. Where the \
                 host is to have none, compare its key and record it in known_hosts: --accept-new-host-keys does not"
                    .to_owned()
            }
            Self::Forbidden { .. } => {
                "give the host another key, or change RequiredRSASize or HostKeyAlgorithms in OpenSSH's configuration"
                    .to_owned()
            }
            Self::Revocations { .. } => {
                "no host is trusted until it can be read: name a file of public keys, one a line, or a list that \
                 `ssh-keygen -k` made"
                    .to_owned()
            }
            Self::Read { .. } => String::new(),
            Self::Record { .. } => {
                "a key that is not recorded would be accepted from anybody the next time: make the file writable, or \
                 name another with UserKnownHostsFile"
                    .to_owned()
            }
        }
    }
}
