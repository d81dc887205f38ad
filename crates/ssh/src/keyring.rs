//! The operator's key files: each is read once, and decrypted once, for all hosts of the run.
//!
//! A key that is encrypted is offered by its public half first; only when a server would take it is the operator asked
//! for the passphrase, one file at a time.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::base64::{Base64, Encoding};
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{self, Signature};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::prompt::Prompt;

/// How often a passphrase may be mistyped.
const TRIES: u32 = 3;

/// Why a key file is of no use.
#[derive(Debug, Clone, Error)]
pub(crate) enum KeyError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[source] Arc<io::Error>),
    /// The file does not exist.
    #[error("does not exist")]
    Missing,
    /// The file has no key.
    #[error("is not a private key of a known format")]
    Format,
    /// Others can read or write it.
    #[error("can be used by others (mode {mode:04o}), and is not used; to resolve: chmod 600 {}", .path.display())]
    Exposed {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Only the public half is there, and no SSH agent has the other.
    #[error("is a public key, and no SSH agent has the private one")]
    PublicOnly,
    /// The operator was asked in vain.
    #[error("is encrypted, and no passphrase was given")]
    NoPassphrase,
    /// The passphrases were wrong.
    #[error("is encrypted, and the passphrase was wrong {TRIES} times")]
    WrongPassphrase,
    /// Signing failed.
    #[error("cannot sign: {0}")]
    Sign(#[source] ssh_key::Error),
    /// The file has no certificate.
    #[error("is not a certificate of a known format")]
    NoCertificate,
    /// The thread that decrypts died: a defect.
    #[error("could not be decrypted")]
    Thread,
}

/// A key file.
#[derive(Debug)]
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    /// The public half, if it can be read without a passphrase.
    pub(crate) public: Option<PublicKey>,
    private: Private,
    unlocked: OnceCell<Result<Arc<PrivateKey>, KeyError>>,
}

#[derive(Debug)]
enum Private {
    Plain(Arc<PrivateKey>),
    Encrypted(Arc<Encrypted>),
    Absent,
}

enum Encrypted {
    /// OpenSSH's format.
    Key(Box<PrivateKey>),
    /// An older format, as text.
    Text(types::Secret),
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encrypted")
    }
}

/// All key files of the run.
pub(crate) struct Keyring {
    prompt: Arc<dyn Prompt>,
    files: Mutex<HashMap<PathBuf, Result<Arc<KeyFile>, KeyError>>>,
    certificates: Mutex<HashMap<PathBuf, Result<Arc<Certificate>, KeyError>>>,
    /// The operator answers one question at a time.
    asking: tokio::sync::Mutex<()>,
}

impl Keyring {
    pub(crate) fn new(prompt: Box<dyn Prompt>) -> Self {
        Self {
            prompt: Arc::from(prompt),
            files: Mutex::default(),
            certificates: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// A key file, read the first time that it is asked for.
    pub(crate) fn file(&self, path: &Path) -> Result<Arc<KeyFile>, KeyError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files
            .entry(path.to_owned())
            .or_insert_with(|| read(path).map(Arc::new))
            .clone()
    }

    /// A certificate, read the first time that it is asked for.
    pub(crate) fn certificate(&self, path: &Path) -> Result<Arc<Certificate>, KeyError> {
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        certificates
            .entry(path.to_owned())
            .or_insert_with(|| read_certificate(path).map(Arc::new))
            .clone()
    }

    /// The private key, for which the operator may be asked.
    pub(crate) async fn unlock(&self, file: &KeyFile) -> Result<Arc<PrivateKey>, KeyError> {
        let encrypted = match &file.private {
            Private::Plain(key) => return Ok(Arc::clone(key)),
            Private::Absent => return Err(KeyError::PublicOnly),
            Private::Encrypted(encrypted) => encrypted,
        };
        let unlocking = || async {
            let _turn = self.asking.lock().await;
            let (prompt, path) = (Arc::clone(&self.prompt), file.path.clone());
            let encrypted = Arc::clone(encrypted);
            // The terminal blocks, and so does the work that makes passphrases slow to guess.
            tokio::task::spawn_blocking(move || ask(&*prompt, &path, &encrypted))
                .await
                .unwrap_or(Err(KeyError::Thread))
        };
        file.unlocked.get_or_init(unlocking).await.clone()
    }
}

fn ask(prompt: &dyn Prompt, path: &Path, encrypted: &Encrypted) -> Result<Arc<PrivateKey>, KeyError> {
    for _ in 0..TRIES {
        let passphrase = prompt.passphrase(path).ok_or(KeyError::NoPassphrase)?;
        let key = match encrypted {
            Encrypted::Key(key) => key.decrypt(passphrase.expose()).ok(),
            Encrypted::Text(text) => decode_secret_key(text.expose(), Some(passphrase.expose())).ok(),
        };
        if let Some(key) = key {
            return Ok(Arc::new(key));
        }
        tracing::warn!(file = %path.display(), "the passphrase is wrong");
    }
    Err(KeyError::WrongPassphrase)
}

fn read(path: &Path) -> Result<KeyFile, KeyError> {
    let (text, found) = read_text(path)?;
    let (public, private) = parse(types::Secret::new(text), path)?;
    if !matches!(private, Private::Absent) {
        check_access(path, found.uid(), found.mode())?;
    }
    Ok(KeyFile {
        path: path.to_owned(),
        public,
        private,
        unlocked: OnceCell::new(),
    })
}

/// Refuses a private key that others can write, and one of this user's that others can read: as OpenSSH does, which leaves
/// it to the other owner of a key who reads it.
fn check_access(path: &Path, owner: u32, mode: u32) -> Result<(), KeyError> {
    let is_ours = owner == rustix::process::geteuid().as_raw();
    let forbidden = if is_ours { 0o077 } else { 0o022 };
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(KeyError::Exposed {
        path: path.to_owned(),
        mode: mode & 0o7777,
    })
}

/// The most of a file that is read: a key of 16384 bits takes 13 KiB.
const MOST_BYTES: u64 = 1 << 20;

/// The text of a file, and whose that very file is.
fn read_text(path: &Path) -> Result<(String, Metadata), KeyError> {
    let reading = || {
        let file = fs::File::open(path)?;
        let found = file.metadata()?;
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        Ok((text, found))
    };
    reading().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyError::Missing,
        _ => KeyError::Read(Arc::new(error)),
    })
}

fn read_certificate(path: &Path) -> Result<Certificate, KeyError> {
    let (text, _) = read_text(path)?;
    let fields: Vec<&str> = text.split_whitespace().take(2).collect();
    let [kind, blob] = fields[..] else {
        return Err(KeyError::NoCertificate);
    };
    // The library reads a certificate in a certificate without a bound.
    let bytes = Base64::decode_vec(blob).map_err(|_| KeyError::NoCertificate)?;
    let marks = bytes.windows(MARK.len()).filter(|part| *part == MARK).count();
    if marks > MOST_MARKS {
        return Err(KeyError::NoCertificate);
    }
    Certificate::from_openssh(&format!("{kind} {blob}")).map_err(|_| KeyError::NoCertificate)
}

/// What stands in a certificate once, and in one within another once more; also in a name, for all we know.
const MARK: &[u8] = b"-cert-v01@";
const MOST_MARKS: usize = 4;

fn parse(text: types::Secret, path: &Path) -> Result<(Option<PublicKey>, Private), KeyError> {
    if let Ok(key) = PrivateKey::from_openssh(text.expose()) {
        let public = Some(key.public_key().clone());
        let private = if key.is_encrypted() {
            Private::Encrypted(Arc::new(Encrypted::Key(Box::new(key))))
        } else {
            Private::Plain(Arc::new(key))
        };
        return Ok((public, private));
    }
    if let Ok(key) = decode_secret_key(text.expose(), None) {
        return Ok((Some(key.public_key().clone()), Private::Plain(Arc::new(key))));
    }
    if let Ok(public) = PublicKey::from_openssh(text.expose().trim()) {
        return Ok((Some(public), Private::Absent));
    }
    let is_encrypted = ["ENCRYPTED", "DEK-Info", "Encryption: aes"]
        .iter()
        .any(|mark| text.expose().contains(mark));
    if !is_encrypted {
        return Err(KeyError::Format);
    }
    let beside = path.with_added_extension("pub");
    let public = fs::read_to_string(beside)
        .ok()
        .and_then(|text| PublicKey::from_openssh(text.trim()).ok());
    Ok((public, Private::Encrypted(Arc::new(Encrypted::Text(text)))))
}

/// Signs, for RSA with the hash that the server takes.
pub(crate) fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Result<Signature, KeyError> {
    let signed = match key.key_data() {
        KeypairData::Rsa(rsa) => (rsa, hash).try_sign(data),
        other => other.try_sign(data),
    };
    signed.map_err(|error| KeyError::Sign(ssh_key::Error::from(error)))
}

impl KeyFile {
    /// Whether the file has no private half.
    pub(crate) fn is_public_only(&self) -> bool {
        matches!(self.private, Private::Absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    use russh::keys::ssh_key::LineEnding;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    fn key() -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
    }

    #[test]
    fn a_private_key_that_others_can_use_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        fs::write(&path, key().to_openssh(LineEnding::LF).unwrap()).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(read(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_key_of_another_user_may_be_read_by_others_and_not_written() {
        let other = rustix::process::geteuid().as_raw() + 1;
        assert!(check_access(Path::new("id"), other, 0o100_640).is_ok());
        assert!(check_access(Path::new("id"), other, 0o100_660).is_err());
    }

    #[test]
    fn a_public_key_is_for_all_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.pub");
        fs::write(&path, key().public_key().to_openssh().unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap().is_public_only());
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id-cert.pub");
        let marks = Base64::encode_string(&MARK.repeat(100));
        let kind = "ssh-ed25519-cert-v01@openssh.com";
        for text in [
            String::new(),
            "a b".to_owned(),
            format!("{kind} AAAA"),
            format!("{kind} {marks}"),
        ] {
            fs::write(&path, &text).unwrap();
            assert!(
                matches!(read_certificate(&path), Err(KeyError::NoCertificate)),
                "{text}"
            );
        }
        assert!(matches!(
            read_certificate(&folder.path().join("none")),
            Err(KeyError::Missing)
        ));
    }
}
