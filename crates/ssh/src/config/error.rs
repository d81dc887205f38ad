//! Why OpenSSH's configuration could not be asked, or cannot be followed.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::error::Advice;

/// `Match exec` may run anything; this is how long it may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Why OpenSSH's configuration could not be asked.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// There is no `ssh`.
    #[error("OpenSSH's configuration applies, but `ssh` is not installed")]
    NoSsh,
    /// `ssh` could not be started.
    #[error("cannot run `ssh -G {host}`")]
    Run {
        host: String,
        #[source]
        source: io::Error,
    },
    /// `ssh` took too long.
    #[error("`ssh -G {host}` did not end within {LIMIT:?}")]
    Slow { host: String },
    /// `ssh` reported an error.
    #[error("`ssh -G {host}` failed: {said}")]
    Failed { host: String, said: String },
    /// A setting has a value that is not understood.
    #[error("OpenSSH's configuration of {host} has {setting} {value:?}, which is not understood")]
    Value {
        host: String,
        setting: String,
        value: String,
    },
    /// A setting has no counterpart here.
    #[error("OpenSSH's configuration of {host} has {setting} {value:?}, which is not supported")]
    Unsupported {
        host: String,
        setting: String,
        value: String,
        instead: &'static str,
    },
    /// A setting is newer than this program.
    #[error(
        "OpenSSH's configuration of {host} has {setting} {value:?}, a setting that this version does not know"
    )]
    Unknown {
        host: String,
        setting: String,
        value: String,
    },
    /// A list of algorithms has none that is supported.
    #[error("OpenSSH's configuration of {host} permits by {setting} no algorithm that clusterctl supports")]
    NoneKnown {
        host: String,
        setting: String,
        known: Vec<String>,
    },
    /// Public keys are switched off.
    #[error(
        "OpenSSH's configuration of {host} switches public keys off, and clusterctl logs in with nothing else"
    )]
    NoPublicKeys { host: String },
}

impl Advice for ConfigError {
    fn hint(&self) -> String {
        match self {
            Self::NoSsh => {
                "install OpenSSH's client, or switch its configuration off and set everything in the \
                            inventory"
                    .to_owned()
            }
            Self::Slow { .. } => "a `Match exec` in the configuration may be hanging".to_owned(),
            Self::Unsupported { instead, .. } => (*instead).to_owned(),
            Self::Unknown { setting, .. } => format!(
                "it may protect the connection, so it is not ignored: remove {setting} for this host, or name a \
                 configuration without it with --ssh-config"
            ),
            Self::NoneKnown { known, .. } => format!("permit one of: {}", known.join(", ")),
            Self::NoPublicKeys { .. } => {
                "permit publickey in PreferredAuthentications and PubkeyAuthentication for this host"
                    .to_owned()
            }
            Self::Run { .. } | Self::Failed { .. } | Self::Value { .. } => String::new(),
        }
    }
}
