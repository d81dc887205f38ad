//! The files that let any OpenSSH client in: a key, a configuration for `-F`, and the hosts' keys.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cmd::{Cmd, CmdError};
use crate::files::{self, FileError};
use crate::range::Range;
use crate::spec::HostSpec;

/// The files could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SshFilesError {
    /// A file could not be read or written.
    #[error("cannot keep the files for SSH clients")]
    File(#[from] FileError),
    /// `ssh-keygen` failed.
    #[error("cannot make an SSH key")]
    Keygen(#[from] CmdError),
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct SshFiles {
    pub(crate) config: PathBuf,
    key: PathBuf,
    known_hosts: PathBuf,
}

impl SshFiles {
    /// The files of the lab in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            config: dir.join("ssh_config"),
            key: dir.join("id_ed25519"),
            known_hosts: dir.join("known_hosts"),
        }
    }

    /// The public key that the hosts let in; made where there is none.
    pub(crate) fn public_key(&self) -> Result<String, SshFilesError> {
        let public = self.key.with_extension("pub");
        if !self.key.is_file() || !public.is_file() {
            make_key(&self.key, "clusterctl-lab")?;
        }
        Ok(std::fs::read_to_string(&public).map_err(files::failed("read", &public))?)
    }

    /// Writes the configuration.
    pub(crate) fn write_config(&self, hosts: &[HostSpec], range: Range) -> Result<(), SshFilesError> {
        Ok(files::write(&self.config, &self.config_text(hosts, range))?)
    }

    /// Writes the hosts' keys, each known by name and address.
    pub(crate) fn write_known_hosts<'a>(
        &self,
        keys: impl IntoIterator<Item = (&'a HostSpec, String)>,
        range: Range,
    ) -> Result<(), SshFilesError> {
        let mut text = String::new();
        for (host, key) in keys {
            if let Some(line) = known_host(host, range, &key) {
                text.push_str(&line);
            }
        }
        Ok(files::write(&self.known_hosts, &text)?)
    }

    fn config_text(&self, hosts: &[HostSpec], range: Range) -> String {
        let mut text = String::from("# Written by the lab; use it with: ssh -F THIS_FILE HOST\n");
        let mut names = String::new();
        for host in hosts {
            let _ = writeln!(
                text,
                "Host {}\n  HostName {}",
                host.name,
                range.address(host.octet)
            );
            let _ = write!(names, "{} ", host.name);
        }
        // Only the lab's own hosts: the key is offered to nobody else. curve25519 costs a sixth of the default
        // key exchange, which tests that log in often would feel.
        let _ = write!(
            text,
            "Host {names}{pattern}\n  User root\n  IdentityFile \"{key}\"\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile \"{known}\"\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  \
             UpdateHostKeys no\n  KexAlgorithms curve25519-sha256\n",
            pattern = range.pattern(),
            key = self.key.display(),
            known = self.known_hosts.display(),
        );
        text
    }
}

/// Makes a key pair without a passphrase; one that is there, or half there, is replaced.
pub(crate) fn make_key(path: &Path, comment: &str) -> Result<(), SshFilesError> {
    for stale in [path.to_owned(), path.with_extension("pub")] {
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(files::failed("replace", &stale))?;
        }
    }
    Cmd::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .run()?;
    Ok(())
}

/// A line of `known_hosts`; a host without a key (never started) has none.
fn known_host(host: &HostSpec, range: Range, key: &str) -> Option<String> {
    let mut words = key.split_whitespace();
    let (kind, data) = (words.next()?, words.next()?);
    Some(format!(
        "{},{} {kind} {data}\n",
        host.name,
        range.address(host.octet)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::default_hosts;

    fn range() -> Range {
        "10.77.0.0/24".parse().unwrap()
    }

    #[test]
    fn a_host_is_known_by_name_and_address() {
        let line = known_host(&default_hosts()[0], range(), "ssh-ed25519 AAAAC3 db1\n");
        assert_eq!(line.unwrap(), "db1,10.77.0.11 ssh-ed25519 AAAAC3\n");
        assert_eq!(known_host(&default_hosts()[0], range(), ""), None);
    }

    #[test]
    fn openssh_reads_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let files = SshFiles::new(dir.path());
        files.write_config(&default_hosts(), range()).unwrap();
        for name in ["db2", "10.77.0.12"] {
            let text = Cmd::new("ssh")
                .args(["-G", "-F"])
                .arg(&files.config)
                .arg(name)
                .run()
                .unwrap();
            for line in [
                "hostname 10.77.0.12",
                "user root",
                "identitiesonly yes",
                "stricthostkeychecking true",
            ] {
                assert!(
                    text.lines().any(|found| found == line),
                    "{line} is not in\n{text}"
                );
            }
        }
        let other = Cmd::new("ssh")
            .args(["-G", "-F"])
            .arg(&files.config)
            .arg("elsewhere")
            .run()
            .unwrap();
        assert!(
            !other.contains("curve25519-sha256\n"),
            "the lab's settings leak to other hosts"
        );
    }

    #[test]
    fn a_half_made_key_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let files = SshFiles::new(dir.path());
        std::fs::write(dir.path().join("id_ed25519"), "").unwrap();
        let first = files.public_key().unwrap();
        assert!(first.starts_with("ssh-ed25519 "));
        assert_eq!(files.public_key().unwrap(), first);
    }
}
