//! Logging in: the operator's identities are offered one after the other until the server takes one.
//!
//! The order is OpenSSH's, but for one point: key files that somebody named go before the SSH agent's other identities,
//! since a server hangs up after a handful of wrong ones. The server is asked about the public half first in any case,
//! so an encrypted file needs its passphrase only where it helps.

use std::path::Path;
use std::sync::Arc;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use russh::{MethodKind, Signer};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::deadline::{Deadline, TimedOut};
use crate::dial::Connection;
use crate::error::{Advice, is_transient_ssh};
use crate::keyring::{self, KeyError, KeyFile, Keyring};
use crate::known_hosts::fingerprint;
use crate::target::{Identities, Target};

/// Why nobody is logged in.
#[derive(Debug, Error)]
pub(crate) enum AuthError {
    /// The server took none of the identities.
    #[error("{label} took none of the identities that were offered: {offered}{unused}")]
    Refused {
        label: String,
        offered: List,
        unused: Unused,
    },
    /// There was none to offer.
    #[error("there is no identity to offer to {label}{unused}")]
    NoIdentity { label: String, unused: Unused },
    /// The server hung up after too many.
    #[error("{label} hung up after {offered}: {reason}")]
    TooMany {
        label: String,
        offered: List,
        reason: String,
    },
    /// The server wants something else.
    #[error("{label} takes no public keys, but only: {methods}")]
    Method { label: String, methods: String },
    /// The server wants something more.
    #[error("{label} took {identity}, and wants a second factor: {methods}")]
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
    /// It took too long.
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
pub(crate) struct List(Vec<String>);

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
pub(crate) struct Unused(Vec<String>);

impl std::fmt::Display for Unused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " (not usable: {})", self.0.join("; "))
    }
}

/// One thing to offer.
enum Offer {
    /// What the SSH agent has.
    Agent(Box<AgentIdentity>),
    /// A key file.
    File(Arc<KeyFile>),
}

impl Offer {
    fn describe(&self) -> String {
        match self {
            Self::Agent(identity) => format!(
                "{} {} of the SSH agent ({})",
                identity.public_key().algorithm(),
                identity.comment(),
                fingerprint(&identity.public_key())
            ),
            Self::File(file) => match &file.public {
                Some(key) => format!("{} ({})", file.path.display(), fingerprint(key)),
                None => file.path.display().to_string(),
            },
        }
    }
}

/// Logs in on a connection.
pub(crate) async fn log_in(
    connection: &mut Connection,
    target: &Target,
    keyring: &Keyring,
    deadline: &Deadline,
) -> Result<(), AuthError> {
    let mut login = Login {
        connection,
        target,
        keyring,
        deadline,
        agent: None,
        offered: List::default(),
        unused: Unused::default(),
        rsa_hash: None,
    };
    for offer in login.offers().await? {
        if login.offer(offer).await? {
            return Ok(());
        }
    }
    let (label, unused) = (target.label(), login.unused);
    Err(if login.offered.0.is_empty() {
        AuthError::NoIdentity { label, unused }
    } else {
        AuthError::Refused {
            label,
            offered: login.offered,
            unused,
        }
    })
}

struct Login<'a> {
    connection: &'a mut Connection,
    target: &'a Target,
    keyring: &'a Keyring,
    deadline: &'a Deadline,
    agent: Option<AgentClient<UnixStream>>,
    offered: List,
    unused: Unused,
    /// The hash for RSA signatures, once the server was asked.
    rsa_hash: Option<RsaHash>,
}

/// The hash for RSA signatures; none is SHA-1.
#[derive(Clone, Copy)]
struct RsaHash(Option<HashAlg>);

impl Login<'_> {
    /// What to offer, in order.
    async fn offers(&mut self) -> Result<Vec<Offer>, TimedOut> {
        let Identities {
            files,
            are_named,
            only_files,
            agent,
        } = &self.target.identities;
        let mut held = match agent {
            Some(socket) => self.ask_agent(socket).await?,
            None => Vec::new(),
        };
        let mut from_files = Vec::new();
        for path in files {
            let file = match self.keyring.file(path) {
                Ok(file) => file,
                // The default files need not be there.
                Err(KeyError::Missing) if !are_named => continue,
                Err(error) => {
                    self.unused.0.push(format!("{} {error}", path.display()));
                    continue;
                }
            };
            let is_same = |identity: &AgentIdentity| {
                let key = file.public.as_ref().map(PublicKey::key_data);
                key == Some(identity.public_key().key_data())
            };
            match held.iter().position(is_same) {
                // The agent signs without a passphrase.
                Some(index) => from_files.push(Offer::Agent(Box::new(held.remove(index)))),
                None if file.is_public_only() => {
                    self.unused
                        .0
                        .push(format!("{} {}", path.display(), KeyError::PublicOnly));
                }
                None => from_files.push(Offer::File(file)),
            }
        }
        let others = held
            .into_iter()
            .filter(|_| !only_files)
            .map(|identity| Offer::Agent(Box::new(identity)));
        Ok(if *are_named {
            from_files.into_iter().chain(others).collect()
        } else {
            others.chain(from_files).collect()
        })
    }

    /// The identities that the SSH agent has.
    async fn ask_agent(&mut self, socket: &Path) -> Result<Vec<AgentIdentity>, TimedOut> {
        let binding = self.connection.handle.agent_session_binding().cloned();
        let asking = async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            if let Some(binding) = &binding
                && let Err(error) = agent.bind_session(binding, false).await
            {
                // Only keys that are bound to destinations need it, and only OpenSSH's agent knows it.
                tracing::debug!(%error, "the SSH agent does not bind sessions");
            }
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        };
        match self.deadline.run("asking the SSH agent", asking).await? {
            Ok((agent, identities)) => {
                self.agent = Some(agent);
                Ok(identities)
            }
            Err(error) => {
                self.unused
                    .0
                    .push(format!("the SSH agent at {}: {error}", socket.display()));
                Ok(Vec::new())
            }
        }
    }

    /// Offers one identity; whether the server took it.
    async fn offer(&mut self, offer: Offer) -> Result<bool, AuthError> {
        let what = offer.describe();
        let user = self.target.user.clone();
        let doing = "logging in";
        let result = match offer {
            Offer::File(file) => {
                // An old encrypted format hides the public half too.
                let key = match &file.public {
                    Some(key) => key.clone(),
                    None => match self.unlock(&file).await {
                        Ok(key) => key.public_key().clone(),
                        Err(error) => return Ok(self.cannot_use(&what, &error)),
                    },
                };
                let hash = self.hash_for(&key).await?;
                let (keyring, deadline) = (self.keyring, self.deadline);
                let mut signer = FileSigner {
                    file,
                    keyring,
                    deadline,
                };
                let handle = &mut self.connection.handle;
                let asking = handle.authenticate_publickey_with(user, key, hash, &mut signer);
                match deadline.run(doing, asking).await? {
                    Err(SignError::Key(error)) => return Ok(self.cannot_use(&what, &error)),
                    Err(SignError::Closed) => return Err(self.lost()),
                    Ok(result) => result,
                }
            }
            Offer::Agent(identity) => {
                let hash = self.hash_for(&identity.public_key()).await?;
                let Some(agent) = &mut self.agent else {
                    return Ok(false);
                };
                let handle = &mut self.connection.handle;
                let asking = async {
                    match *identity {
                        AgentIdentity::PublicKey { key, .. } => {
                            handle.authenticate_publickey_with(user, key, hash, agent).await
                        }
                        AgentIdentity::Certificate { certificate, .. } => {
                            handle
                                .authenticate_certificate_with(user, certificate, hash, agent)
                                .await
                        }
                    }
                };
                match self.deadline.run(doing, asking).await? {
                    // The agent may have been locked, or its owner declined.
                    Err(error) if !self.connection.handle.is_closed() => {
                        return Ok(self.cannot_use(&what, &error));
                    }
                    Err(_) => return Err(self.lost()),
                    Ok(result) => result,
                }
            }
        };
        self.judge(what, &result)
    }

    fn judge(&mut self, identity: String, result: &AuthResult) -> Result<bool, AuthError> {
        let AuthResult::Failure {
            remaining_methods,
            partial_success,
        } = result
        else {
            tracing::debug!(label = self.connection.label, identity, "logged in");
            return Ok(true);
        };
        let label = self.target.label();
        let methods = || {
            let names: Vec<&str> = remaining_methods.iter().map(<&str>::from).collect();
            names.join(", ")
        };
        if *partial_success {
            return Err(AuthError::SecondFactor {
                label,
                identity,
                methods: methods(),
            });
        }
        self.offered.0.push(identity);
        if remaining_methods.is_empty() {
            return Err(self.lost());
        }
        if !remaining_methods.contains(&MethodKind::PublicKey) {
            return Err(AuthError::Method {
                label,
                methods: methods(),
            });
        }
        Ok(false)
    }

    fn cannot_use(&mut self, what: &str, error: &dyn std::error::Error) -> bool {
        self.unused.0.push(format!("{what} {error}"));
        false
    }

    fn lost(&mut self) -> AuthError {
        let label = self.target.label();
        let reason = self
            .connection
            .ending
            .reason()
            .unwrap_or_else(|| "the server closed it".to_owned());
        // OpenSSH's words.
        if reason.contains("Too many authentication failures") {
            return AuthError::TooMany {
                label,
                offered: std::mem::take(&mut self.offered),
                reason,
            };
        }
        AuthError::Lost { label, reason }
    }

    async fn unlock(&self, file: &KeyFile) -> Result<Arc<PrivateKey>, KeyError> {
        let _pause = self.deadline.pause();
        self.keyring.unlock(file).await
    }

    /// The hash to sign with, which only RSA leaves open.
    async fn hash_for(&mut self, key: &PublicKey) -> Result<Option<HashAlg>, AuthError> {
        if !key.algorithm().is_rsa() {
            return Ok(None);
        }
        if let Some(RsaHash(hash)) = self.rsa_hash {
            return Ok(hash);
        }
        let asking = self.connection.handle.best_supported_rsa_hash();
        let supported = match self.deadline.run("asking for the hashes for RSA", asking).await? {
            Ok(supported) => supported,
            Err(source) => {
                return Err(AuthError::Protocol {
                    label: self.target.label(),
                    source,
                });
            }
        };
        // A server that does not say may well take SHA-2; SHA-1 only where it says so.
        let hash = supported.unwrap_or(Some(HashAlg::Sha256));
        self.rsa_hash = Some(RsaHash(hash));
        Ok(hash)
    }
}

/// Signs with a key file, which is unlocked only now that the server wants it.
struct FileSigner<'a> {
    file: Arc<KeyFile>,
    keyring: &'a Keyring,
    deadline: &'a Deadline,
}

#[derive(Debug, Error)]
enum SignError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the connection is closed")]
    Closed,
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::Closed
    }
}

impl Signer for FileSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = {
            let _pause = self.deadline.pause();
            self.keyring.unlock(&self.file).await?
        };
        let signature = keyring::sign(&key, hash, &to_sign)?;
        let encoding = |error| KeyError::Sign(russh::keys::ssh_key::Error::Encoding(error));
        // The request is sent as it was signed, with the signature behind it as a string.
        signature.encode_prefixed(&mut to_sign).map_err(encoding)?;
        Ok(to_sign)
    }
}
