//! The identities that are offered to a server, in their order: those of the SSH agent, key files, and certificates of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PublicKey};

use super::error::AuthError;
use super::login::Login;
use crate::deadline::TimedOut;
use crate::keyring::{KeyError, KeyFile};
use crate::known_hosts::fingerprint;
use crate::target::Identities;

/// One thing to offer.
pub(super) enum Offer {
    /// What the SSH agent has.
    Agent(Box<AgentIdentity>),
    /// A key file.
    File(Arc<KeyFile>),
    /// A certificate in a file, and who has its private key.
    Certificate {
        path: PathBuf,
        certificate: Arc<Certificate>,
        holder: Holder,
    },
}

/// A certificate, and its file.
type Named = (PathBuf, Arc<Certificate>);

/// The holder of a private key.
pub(super) enum Holder {
    Agent(Box<PublicKey>),
    File(Arc<KeyFile>),
}

impl Offer {
    pub(super) fn describe(&self, user: &str) -> String {
        match self {
            Self::Agent(identity) => {
                let of = match &**identity {
                    AgentIdentity::PublicKey { .. } => fingerprint(&identity.public_key()),
                    AgentIdentity::Certificate { certificate, .. } => described(certificate, user),
                };
                let algorithm = identity.public_key().algorithm();
                format!("{algorithm} {} of the SSH agent ({of})", identity.comment())
            }
            Self::File(file) => match &file.public {
                Some(key) => format!("{} ({})", file.path.display(), fingerprint(key)),
                None => file.path.display().to_string(),
            },
            Self::Certificate {
                path, certificate, ..
            } => {
                format!("{} ({})", path.display(), described(certificate, user))
            }
        }
    }
}

/// A certificate in words, with what a server will not like about it: the server says no more than no.
fn described(certificate: &Certificate, user: &str) -> String {
    let mut words = vec![format!("certificate {:?}", certificate.key_id())];
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    if now < certificate.valid_after() {
        words.push("not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        words.push("expired".to_owned());
    }
    let names = certificate.valid_principals();
    if !names.is_empty() && !names.iter().any(|name| name == user) {
        words.push(format!("for {}", names.join(", ")));
    }
    words.join(", ")
}

impl Login<'_> {
    /// What to offer, in order.
    pub(super) async fn offers(&mut self) -> Result<Vec<Offer>, AuthError> {
        let target = self.target;
        let Identities {
            files,
            certificates,
            are_named,
            only_files,
            agent,
        } = &target.identities;
        let mut held = match agent {
            Some(socket) => self.ask_agent(socket).await?,
            None => Vec::new(),
        };
        let mut named = self.certificates(certificates);
        let mut from_files = Vec::new();
        for path in files {
            let file = match self.keyring.file(path) {
                Ok(file) => file,
                // The default files need not be there.
                Err(KeyError::Missing) if !are_named => continue,
                Err(KeyError::Exposed { mode, .. }) if *are_named => {
                    return Err(AuthError::Unprotected {
                        label: target.label(),
                        path: path.clone(),
                        mode,
                    });
                }
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "an identity is not used");
                    self.unused.0.push(format!("{} {error}", path.display()));
                    continue;
                }
            };
            let Some(public) = &file.public else {
                from_files.push(Offer::File(file));
                continue;
            };
            let of_key = |key: &KeyData| key == public.key_data();
            let (same, rest): (Vec<_>, Vec<_>) = held
                .into_iter()
                .partition(|identity| of_key(identity.public_key().key_data()));
            held = rest;
            let (plain, certified): (Vec<_>, Vec<_>) = same
                .into_iter()
                .partition(|identity| matches!(identity, AgentIdentity::PublicKey { .. }));
            // The agent signs without a passphrase.
            let holder = || {
                if !plain.is_empty() {
                    Some(Holder::Agent(Box::new(public.clone())))
                } else if file.is_public_only() {
                    None
                } else {
                    Some(Holder::File(Arc::clone(&file)))
                }
            };
            // Certificates first: where the key alone is enough, no more than a question is lost.
            let mut own = if certificates.is_empty() {
                self.beside(path)
            } else {
                let (own, others) = named
                    .into_iter()
                    .partition(|(_, found)| of_key(found.public_key()));
                named = others;
                own
            };
            own.retain(|(_, found)| of_key(found.public_key()));
            for (path, certificate) in own {
                if let Some(holder) = holder() {
                    from_files.push(Offer::Certificate {
                        path,
                        certificate,
                        holder,
                    });
                }
            }
            let has_certified = !certified.is_empty();
            from_files.extend(
                certified
                    .into_iter()
                    .map(|identity| Offer::Agent(Box::new(identity))),
            );
            match plain.into_iter().next() {
                Some(identity) => from_files.push(Offer::Agent(Box::new(identity))),
                None if !file.is_public_only() => from_files.push(Offer::File(file)),
                None if has_certified => {}
                None => {
                    let why = KeyError::PublicOnly;
                    self.unused.0.push(format!("{} {why}", path.display()));
                }
            }
        }
        from_files.extend(self.held_by_agent(named, &held));
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

    /// Offers of the certificates whose keys no file has, and the SSH agent has.
    fn held_by_agent(&mut self, named: Vec<Named>, held: &[AgentIdentity]) -> Vec<Offer> {
        let mut offers = Vec::new();
        for (path, certificate) in named {
            let key = certificate.public_key();
            let is_its_key = |identity: &AgentIdentity| matches!(identity, AgentIdentity::PublicKey { key: held, .. } if held.key_data() == key);
            if held.iter().any(is_its_key) {
                let holder = Holder::Agent(Box::new(PublicKey::new(key.clone(), "")));
                offers.push(Offer::Certificate {
                    path,
                    certificate,
                    holder,
                });
            } else {
                let why = "is a certificate, and neither the identity files nor the SSH agent have its key";
                self.unused.0.push(format!("{} {why}", path.display()));
            }
        }
        offers
    }

    /// The certificates that somebody named.
    fn certificates(&mut self, paths: &[PathBuf]) -> Vec<Named> {
        let mut found = Vec::new();
        for path in paths {
            match self.keyring.certificate(path) {
                Ok(certificate) if certificate.cert_type() == CertType::User => {
                    found.push((path.clone(), certificate));
                }
                Ok(_) => self
                    .unused
                    .0
                    .push(format!("{} is not a user certificate", path.display())),
                Err(error) => self.unused.0.push(format!("{} {error}", path.display())),
            }
        }
        found
    }

    /// The certificate beside a key file, `id-cert.pub`.
    fn beside(&mut self, key: &Path) -> Vec<Named> {
        let mut name = match key.extension() {
            Some(extension) if extension == "pub" => key.with_extension("").into_os_string(),
            _ => key.as_os_str().to_owned(),
        };
        name.push("-cert.pub");
        let path = PathBuf::from(name);
        if let Err(KeyError::Missing) = self.keyring.certificate(&path) {
            return Vec::new();
        }
        self.certificates(&[path])
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
}
