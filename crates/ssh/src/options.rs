//! What the caller says: about SSH in general, about each host, and which agent to start.
//!
//! Everything is optional. What is not set comes from OpenSSH's configuration, and from OpenSSH's defaults where
//! that says nothing either, so that a host to which `ssh HOST` connects needs no more than its name.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzEncoder;
use sha2::{Digest, Sha256};

use crate::jump::Jump;

/// Which OpenSSH client configuration applies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConfigFile {
    /// None: the endpoints say everything.
    None,
    /// The operator's and the system's, as `ssh` reads them.
    #[default]
    Default,
    /// This file alone, as with `ssh -F`.
    Path(PathBuf),
}

/// How a silent connection is found to be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// After this long without a word from the server, it is asked for one.
    pub interval: Duration,
    /// After this many unanswered questions the connection is lost.
    pub count: usize,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            count: 3,
        }
    }
}

/// What holds for all hosts.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// The OpenSSH client configuration.
    pub config: ConfigFile,
    /// Record the key of a host that has none recorded, instead of refusing it. Changed host keys are always rejected.
    pub accept_new_host_keys: bool,
    /// How a dead connection is found.
    pub keepalive: Keepalive,
    /// The time limit of an attempt to connect, from the first packet to the agent's first word, without the time that
    /// the operator takes to type a passphrase; a host's own `ConnectTimeout` goes before it.
    pub connect_timeout: Duration,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            config: ConfigFile::default(),
            accept_new_host_keys: false,
            keepalive: Keepalive::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// With which rights the agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privilege {
    /// Those of the user that logs in.
    #[default]
    None,
    /// Root's, through `sudo -n`; nothing is done where the user is root already.
    Sudo,
}

/// What the inventory says of one host. `OpenSSH`'s configuration is asked for the rest, by the host's name in the
/// inventory.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// Where it is, if its name is not the place. Its key is recorded under this address, as OpenSSH does.
    pub address: Option<String>,
    /// The port of its SSH server.
    pub port: Option<u16>,
    /// The user that logs in.
    pub user: Option<String>,
    /// Private keys to offer first, or public ones whose private half the SSH agent holds; empty for the
    /// configuration's.
    pub identity_files: Vec<PathBuf>,
    /// The hosts to go through, nearest first. A name that is a host of the inventory is reached as the inventory
    /// says. `Some` of none goes straight, whatever the configuration says.
    pub jump_hosts: Option<Vec<Jump>>,
    /// Files with host keys, in place of the configuration's; the first takes new keys.
    pub known_hosts_files: Vec<PathBuf>,
    /// The name under which its key is recorded, if not its address.
    pub host_key_alias: Option<String>,
    /// The time limit of an attempt to connect.
    pub connect_timeout: Option<Duration>,
    /// With which rights its agent runs.
    pub privilege: Privilege,
}

/// The agent's binary, and the hash by which hosts keep it.
#[derive(Clone)]
pub struct AgentBinary {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: String,
    /// Made when the first host needs it, for all hosts.
    packed: Arc<OnceLock<(Bytes, String)>>,
}

/// How the binary goes to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Gzip,
}

/// What goes to a host, and its hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub(crate) bytes: &'a Bytes,
    pub(crate) sha256: &'a str,
}

impl AgentBinary {
    /// Takes the binary, and hashes it.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let sha256 = hash(&bytes);
        let packed = Arc::default();
        Self {
            bytes,
            sha256,
            packed,
        }
    }

    /// What goes to a host.
    pub(crate) fn payload(&self, form: Form) -> Payload<'_> {
        let (bytes, sha256) = match form {
            Form::Plain => (&self.bytes, &self.sha256),
            Form::Gzip => {
                let (bytes, sha256) = self.packed.get_or_init(|| {
                    let mut packed = Vec::new();
                    // Memory does not fail.
                    let _read = GzEncoder::new(&self.bytes[..], Compression::best())
                        .read_to_end(&mut packed)
                        .is_ok();
                    let sha256 = hash(&packed);
                    (packed.into(), sha256)
                });
                (bytes, sha256)
            }
        };
        Payload { bytes, sha256 }
    }

    /// The SHA-256 of the binary, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The machine that the binary runs on, as `uname -m` names it; `None` where its header does not say.
    pub(crate) fn machine(&self) -> Option<&'static str> {
        let header = self.bytes.get(..20)?;
        if !header.starts_with(b"\x7fELF") {
            return None;
        }
        match (header[5], header[18], header[19]) {
            (1, 0x3e, 0) => Some("x86_64"),
            (1, 0xb7, 0) => Some("aarch64"),
            (1, 0xf3, 0) => Some("riscv64"),
            (1, 0x15, 0) => Some("ppc64le"),
            (2, 0, 0x16) => Some("s390x"),
            _ => None,
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

impl fmt::Debug for AgentBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentBinary({} bytes, {})", self.bytes.len(), self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_known_by_its_hash_and_its_header() {
        let script = AgentBinary::new(&b"abc"[..]);
        assert!(script.sha256().starts_with("ba7816bf8f01cfea"));
        assert_eq!(script.machine(), None);
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 0x3e;
        assert_eq!(AgentBinary::new(elf).machine(), Some("x86_64"));
    }
}
