//! Why nobody is logged in.

use std::path::PathBuf;

use thiserror::Error;

use crate::deadline::TimedOut;
use crate::error::{Advice, is_transient_ssh};

/// Why nobody is logged in.
#[derive(Debug, Error)]
pub(crate) enum AuthError {
    /// The server accepted none of the identities.
    #[error("{label}: permission denied (publickey); tried: {offered}{unused}")]
    Refused {
        label: String,
        offered: List,
        unused: Unused,
    },
    /// There was none to offer.
    #[error("no identity to offer to {label}{unused}")]
    NoIdentity { label: String, unused: Unused },
    /// A key file that somebody named can be read or written by others.
    #[error("the private key {path} is not used for {label}: its permissions {mode:04o} are too open", path = path.display())]
    Unprotected { label: String, path: PathBuf, mode: u32 },
    /// The server closed the connection after too many.
    #[error("{label} closed the connection after {offered}: {reason}")]
    TooMany {
        label: String,
        offered: List,
        reason: String,
    },
    /// The server wants something else.
    #[error("{label} does not accept public keys, only: {methods}")]
    Method { label: String, methods: String },
    /// The server wants something more.
    #[error("{label} accepted {identity} and requires a second factor: {methods}")]
    SecondFactor {
        label: String,
        identity: String,
        methods: String,
    },
    /// The connection broke.
    #[error("the connection to {label} broke while logging in: {reason}")]
    Lost { label: String, reason: String },
    /// The SSH protocol failed.
    #[error("logging in to {label} failed")]
    Protocol {
        label: String,
        #[source]
        source: russh::Error,
    },
    /// The login took too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl Advice for AuthError {
    fn hint(&self) -> String {
        match self {
            Self::Refused { label, .. } => {
                format!(
                    "is one of these in the authorized_keys of {label}? `ssh -v` shows what OpenSSH offers"
                )
            }
            Self::NoIdentity { .. } => {
                "start an SSH agent and `ssh-add` a key, or name a key file in the inventory \
                                        (identity_file) or in ~/.ssh/config (IdentityFile)"
                    .to_owned()
            }
            Self::Unprotected { path, .. } => format!(
                "run `chmod 600 {}`; if others may have read the key, replace it",
                path.display()
            ),
            Self::TooMany { .. } => {
                "name the right key file, and set IdentitiesOnly in ~/.ssh/config, so that the \
                                     agent's other identities are not offered first"
                    .to_owned()
            }
            Self::Method { .. } | Self::SecondFactor { .. } => {
                "only public keys are supported: a run must not stop at a question for each host".to_owned()
            }
            Self::Lost { .. } | Self::Protocol { .. } | Self::TimedOut(_) => String::new(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::TimedOut(_) => true,
            Self::Protocol { source, .. } => is_transient_ssh(source),
            _ => false,
        }
    }
}

/// Identities in a row.
#[derive(Debug, Default)]
pub(crate) struct List(pub(super) Vec<String>);

impl std::fmt::Display for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.join(", "))
    }
}

/// Identities that could not be offered, and why.
#[derive(Debug, Default)]
pub(crate) struct Unused(pub(super) Vec<String>);

impl std::fmt::Display for Unused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " (not usable: {})", self.0.join("; "))
    }
}
