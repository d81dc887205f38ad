//! Secrets on their way to one agent.
//!
//! Whatever carries the conversation may keep it: sudo writes what a program reads to a log where `log_input` is on. So
//! an agent makes a key pair when it starts, says the public half in its greeting, and keeps the private half in its
//! memory until it ends. The controller seals secrets with the public half; a log of all that was said is of no use then.
//! The scheme is HPKE (RFC 9180) in its base mode, with X25519, HKDF-SHA256 and `ChaCha20Poly1305`.
//!
//! Sealed secrets are for that agent alone. That the agent is the host's, and nobody in between, is the business of SSH.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use protocol::{Sealed, SealingKey, SecretValue};
use thiserror::Error;
use types::{Secret, SecretId};
use zeroize::Zeroizing;

/// What the key is for; other uses of the same key would get another key out of it.
const INFO: &[u8] = b"clusterctl: secrets of a run";

/// The length is rounded up to a multiple of this, so that it says little of the secrets in it.
const BLOCK: usize = 256;

/// The longest varint of postcard: a length.
const VARINT: usize = 10;

type Suite = X25519HkdfSha256;

/// Why secrets could not be sealed or opened. None of them has a secret in its words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    /// The agent's key is no key.
    #[error("the agent's key cannot be used: {0}")]
    Key(HpkeError),
    /// They do not encode: a defect.
    #[error("the secrets do not encode")]
    Encode(#[source] postcard::Error),
    /// The cipher failed.
    #[error("the secrets cannot be sealed: {0}")]
    Seal(HpkeError),
    /// They were sealed for another agent, or changed on the way.
    #[error("the secrets were not sealed for this agent, or were changed on the way: {0}")]
    Open(HpkeError),
    /// What was sealed is no list of secrets.
    #[error("the sealed content is not a list of secrets")]
    Decode,
}

/// An agent's key pair. Its private half wipes its memory when it is dropped, and cannot be printed.
pub struct KeyPair {
    private: <Suite as Kem>::PrivateKey,
    public: SealingKey,
}

impl KeyPair {
    /// A new one.
    pub fn generate() -> Self {
        let (private, public) = Suite::gen_keypair();
        Self {
            private,
            public: SealingKey(bytes(&public)),
        }
    }

    /// What others seal with.
    pub fn public(&self) -> SealingKey {
        self.public
    }

    /// Opens what was sealed with the public half.
    pub fn open(&self, sealed: &Sealed) -> Result<Vec<(SecretId, Secret)>, SealError> {
        let encapsulated =
            <Suite as Kem>::EncappedKey::from_bytes(&sealed.encapsulated).map_err(SealError::Open)?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            &sealed.content,
            &[],
        );
        let plain = Zeroizing::new(opened.map_err(SealError::Open)?);
        // The cause may quote what it stumbled over.
        let (secrets, _padding) = postcard::take_from_bytes::<Vec<(SecretId, SecretValue)>>(&plain)
            .map_err(|_| SealError::Decode)?;
        Ok(secrets
            .into_iter()
            .map(|(id, SecretValue(secret))| (id, secret))
            .collect())
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// Seals secrets for the agent that has the other half of this key.
pub fn seal(key: &SealingKey, secrets: &[(SecretId, Secret)]) -> Result<Sealed, SealError> {
    let public = <Suite as Kem>::PublicKey::from_bytes(&key.0).map_err(SealError::Key)?;
    let plain = encode(secrets)?;
    let (encapsulated, content) =
        single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Suite>(&OpModeS::Base, &public, INFO, &plain, &[])
            .map_err(SealError::Seal)?;
    Ok(Sealed {
        encapsulated: bytes(&encapsulated),
        content,
    })
}

/// The secrets and zeros behind them. The buffer has its final size from the beginning: one that grows leaves copies.
fn encode(secrets: &[(SecretId, Secret)]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let one = |(id, secret): &(SecretId, Secret)| id.as_str().len() + secret.expose().len() + 2 * VARINT;
    let most = VARINT + secrets.iter().map(one).sum::<usize>();
    let mut plain = Zeroizing::new(vec![0; most.next_multiple_of(BLOCK)]);
    let values: Vec<(&SecretId, SecretValue)> = secrets
        .iter()
        .map(|(id, secret)| (id, SecretValue(secret.clone())))
        .collect();
    postcard::to_slice(&values, &mut plain).map_err(SealError::Encode)?;
    Ok(plain)
}

fn bytes(key: &impl Serializable) -> [u8; 32] {
    let mut bytes = [0; 32];
    key.write_exact(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<(SecretId, Secret)> {
        let one = |id: &str, value: &str| (id.parse().unwrap(), Secret::new(value));
        vec![
            one("file:a", "hunter2-hunter2-hunter2"),
            one("env:B", "ünïcode \" value"),
            one("env:C", ""),
        ]
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn what_is_sealed_for_an_agent_is_opened_by_it_alone() {
        let (agent, other) = (KeyPair::generate(), KeyPair::generate());
        let sealed = seal(&agent.public(), &secrets()).unwrap();
        assert_eq!(agent.open(&sealed), Ok(secrets()));
        assert!(matches!(other.open(&sealed), Err(SealError::Open(_))));
        assert_ne!(agent.public(), other.public());
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_opened() {
        let agent = KeyPair::generate();
        let sealed = seal(&agent.public(), &secrets()).unwrap();
        for at in [0, sealed.content.len() / 2, sealed.content.len() - 1] {
            let mut changed = sealed.clone();
            changed.content[at] ^= 1;
            assert!(matches!(agent.open(&changed), Err(SealError::Open(_))));
        }
        let mut short = sealed;
        short.content.truncate(3);
        assert!(matches!(agent.open(&short), Err(SealError::Open(_))));
    }

    #[test]
    fn neither_values_nor_their_lengths_show() {
        let agent = KeyPair::generate();
        let sealed = seal(&agent.public(), &secrets()).unwrap();
        for (id, secret) in secrets().iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            assert!(!holds(&sealed.content, secret.expose()) && !holds(&sealed.content, id.as_str()));
        }
        let short = [("a".parse().unwrap(), Secret::new("x"))];
        let sealed_short = seal(&agent.public(), &short).unwrap();
        assert_eq!(sealed_short.content.len(), sealed.content.len());
        let twice = seal(&agent.public(), &secrets()).unwrap();
        assert_ne!(twice.content, sealed.content, "the same secrets look the same");
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let agent = KeyPair::generate();
        let sealed = seal(&agent.public(), &secrets()).unwrap();
        let private = {
            let mut bytes = [0; 32];
            agent.private.write_exact(&mut bytes);
            bytes
        };
        let shown = format!("{agent:?} {sealed:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(&format!("{private:?}")),
            "{shown}"
        );
        assert!(shown.starts_with("KeyPair { public: SealingKey(["), "{shown}");
    }

    #[test]
    fn a_key_that_is_none_is_an_error() {
        // A point of low order: the shared secret would be known to everybody.
        assert!(seal(&SealingKey([0; 32]), &secrets()).is_err());
    }
}
