//! What signs a request to log in: the SSH agent, or a key file.

use std::sync::Arc;

use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode;
use russh::keys::{HashAlg, PublicKey};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::deadline::Deadline;
use crate::keyring::{self, KeyError, KeyFile, Keyring};

/// Signs with a key of the SSH agent, whatever the server is shown: the agent need not know of the certificate.
pub(super) struct AgentSigner<'a> {
    pub(super) agent: &'a mut AgentClient<UnixStream>,
    pub(super) key: PublicKey,
}

impl Signer for AgentSigner<'_> {
    type Error = russh::AgentAuthError;

    async fn auth_sign(
        &mut self,
        _shown: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, russh::AgentAuthError> {
        let identity = AgentIdentity::from(self.key.clone());
        self.agent.auth_sign(&identity, hash, to_sign).await
    }
}

/// Signs with a key file, which is unlocked only now that the server wants it.
pub(super) struct FileSigner<'a> {
    pub(super) file: Arc<KeyFile>,
    pub(super) keyring: &'a Keyring,
    pub(super) deadline: &'a Deadline,
}

#[derive(Debug, Error)]
pub(super) enum SignError {
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
