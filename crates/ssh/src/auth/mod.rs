//! Logging in: the operator's identities are offered one after the other until the server takes one.
//!
//! The order is OpenSSH's, but for one point: key files that somebody named go before the SSH agent's other identities,
//! since a server hangs up after a handful of wrong ones. The server is asked about the public half first in any case,
//! so an encrypted file needs its passphrase only where it helps.

mod error;
mod login;
mod offers;
mod signers;

use std::sync::Arc;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use russh::{MethodKind, Signer};

use crate::deadline::Deadline;
use crate::dial::Connection;
use crate::keyring::{KeyError, KeyFile, Keyring};
use crate::target::Target;
use error::{List, Unused};
use login::Login;
use offers::{Holder, Offer};
use signers::{AgentSigner, FileSigner, SignError};

pub(crate) use error::AuthError;

/// What takes the time, where it takes too long.
const LOGGING_IN: &str = "logging in";

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
        rsa_hashes: None,
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

impl Login<'_> {
    /// Offers one identity; whether the server took it.
    async fn offer(&mut self, offer: Offer) -> Result<bool, AuthError> {
        let user = self.target.user.clone();
        let what = offer.describe(&user);
        match offer {
            Offer::File(file) => {
                // An old encrypted format hides the public half too.
                let key = match &file.public {
                    Some(key) => key.clone(),
                    None => match self.unlock(&file).await {
                        Ok(key) => key.public_key().clone(),
                        Err(error) => return Ok(self.cannot_use(&what, &error)),
                    },
                };
                self.offer_file(what, user, file, Shown::Key(key)).await
            }
            Offer::Certificate {
                certificate,
                holder: Holder::File(file),
                ..
            } => {
                let shown = Shown::Certificate(Box::new(Certificate::clone(&certificate)));
                self.offer_file(what, user, file, shown).await
            }
            Offer::Certificate {
                certificate,
                holder: Holder::Agent(key),
                ..
            } => {
                let shown = Shown::Certificate(Box::new(Certificate::clone(&certificate)));
                self.offer_agent(what, user, *key, shown).await
            }
            Offer::Agent(identity) => match *identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.offer_agent(what, user, key.clone(), Shown::Key(key)).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.offer_held(what, user, certificate).await
                }
            },
        }
    }

    /// Offers what a key file signs for.
    async fn offer_file(
        &mut self,
        what: String,
        user: String,
        file: Arc<KeyFile>,
        shown: Shown,
    ) -> Result<bool, AuthError> {
        let hash = match self.signing(&shown).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(self.not_permitted(&what, &why)),
        };
        let (keyring, deadline) = (self.keyring, self.deadline);
        let mut signer = FileSigner {
            file,
            keyring,
            deadline,
        };
        let handle = &mut self.connection.handle;
        let asking = authenticate(handle, user, shown, hash, &mut signer);
        match deadline.run(LOGGING_IN, asking).await? {
            Err(SignError::Key(error)) => Ok(self.cannot_use(&what, &error)),
            Err(SignError::Closed) => Err(self.lost()),
            Ok(result) => self.judge(what, &result),
        }
    }

    /// Offers what a key of the SSH agent signs for.
    async fn offer_agent(
        &mut self,
        what: String,
        user: String,
        key: PublicKey,
        shown: Shown,
    ) -> Result<bool, AuthError> {
        let hash = match self.signing(&shown).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(self.not_permitted(&what, &why)),
        };
        let Some(agent) = &mut self.agent else {
            return Ok(false);
        };
        let mut signer = AgentSigner { agent, key };
        let handle = &mut self.connection.handle;
        let asking = authenticate(handle, user, shown, hash, &mut signer);
        let result = self.deadline.run(LOGGING_IN, asking).await?;
        self.judge_agent(what, result)
    }

    /// Offers a certificate that the SSH agent has, key and all.
    async fn offer_held(
        &mut self,
        what: String,
        user: String,
        certificate: Certificate,
    ) -> Result<bool, AuthError> {
        let shown = Shown::Certificate(Box::new(certificate.clone()));
        let hash = match self.signing(&shown).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(self.not_permitted(&what, &why)),
        };
        let Some(agent) = &mut self.agent else {
            return Ok(false);
        };
        let handle = &mut self.connection.handle;
        let asking = handle.authenticate_certificate_with(user, certificate, hash, agent);
        let result = self.deadline.run(LOGGING_IN, asking).await?;
        self.judge_agent(what, result)
    }

    fn judge_agent(
        &mut self,
        what: String,
        result: Result<AuthResult, russh::AgentAuthError>,
    ) -> Result<bool, AuthError> {
        match result {
            // The agent may have been locked, or its owner declined.
            Err(error) if !self.connection.handle.is_closed() => Ok(self.cannot_use(&what, &error)),
            Err(_) => Err(self.lost()),
            Ok(result) => self.judge(what, &result),
        }
    }

    fn not_permitted(&mut self, what: &str, why: &str) -> bool {
        self.unused.0.push(format!("{what} {why}"));
        false
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

    /// The hash to sign with, which only RSA leaves open; or why what is shown is not permitted.
    async fn signing(&mut self, shown: &Shown) -> Result<Result<Option<HashAlg>, String>, AuthError> {
        let policy = &self.target.policy;
        let (key, algorithm) = match shown {
            Shown::Key(key) => (key.key_data(), key.algorithm()),
            Shown::Certificate(certificate) => (certificate.public_key(), certificate.algorithm()),
        };
        if !policy.permits_size(key) {
            let bits = policy.rsa_bits;
            return Ok(Err(format!("is smaller than the RequiredRSASize of {bits} bits")));
        }
        let hashes = if algorithm.clone().is_rsa() {
            self.rsa_hashes().await?
        } else {
            vec![None]
        };
        let name = |hash: Option<HashAlg>| {
            let algorithm = match hash {
                None => algorithm.clone(),
                hash => Algorithm::Rsa { hash },
            };
            match shown {
                Shown::Key(_) => algorithm.to_string(),
                Shown::Certificate(_) => algorithm.to_certificate_type(),
            }
        };
        let permitted = hashes.iter().find(|hash| policy.permits_user_key(&name(**hash)));
        Ok(permitted.copied().ok_or_else(|| {
            "would be signed for with an algorithm that PubkeyAcceptedAlgorithms does not permit".to_owned()
        }))
    }

    async fn rsa_hashes(&mut self) -> Result<Vec<Option<HashAlg>>, AuthError> {
        if let Some(hashes) = &self.rsa_hashes {
            return Ok(hashes.clone());
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
        let hashes = match supported {
            Some(Some(HashAlg::Sha512)) => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
            Some(hash) => vec![hash],
            // A server that does not say may well take SHA-2.
            None => vec![Some(HashAlg::Sha256), Some(HashAlg::Sha512)],
        };
        self.rsa_hashes = Some(hashes.clone());
        Ok(hashes)
    }
}

/// What the server is shown.
enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// Asks to log in with a key or a certificate, whose request the signer signs.
async fn authenticate<S: Signer>(
    handle: &mut russh::client::Handle<crate::dial::Client>,
    user: String,
    shown: Shown,
    hash: Option<HashAlg>,
    signer: &mut S,
) -> Result<AuthResult, S::Error> {
    match shown {
        Shown::Key(key) => handle.authenticate_publickey_with(user, key, hash, signer).await,
        Shown::Certificate(certificate) => {
            handle
                .authenticate_certificate_with(user, *certificate, hash, signer)
                .await
        }
    }
}
