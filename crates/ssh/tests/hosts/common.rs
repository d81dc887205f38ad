//! What the tests share: agents that speak a greeting, and options for hosts on the loopback.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ssh::{AgentBinary, ConfigFile, Endpoint, Prompt, Ssh, SshOptions};
use types::{HostName, Secret};

/// An agent as a shell script: it says its greeting and then waits for the end of its input.
pub(crate) fn fake_agent(padding: usize) -> AgentBinary {
    let hello = protocol::Hello {
        version: protocol::VERSION,
        pid: 42,
        uid: 0,
        key: protocol::SealingKey([7; 32]),
    };
    let frame = protocol::frame::encode(&hello).unwrap();
    let octal: Vec<String> = frame.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let octal = octal.concat();
    let script = format!("#!/bin/sh\nprintf '{octal}'\ncat >/dev/null\necho bye >&2\nexit 7\n#");
    AgentBinary::new([script.as_bytes(), &vec![b'x'; padding]].concat())
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// Options that look at nothing of the user who runs the tests.
pub(crate) fn options() -> SshOptions {
    SshOptions {
        config: ConfigFile::None,
        connect_timeout: Duration::from_secs(30),
        ..SshOptions::default()
    }
}

/// A host on the loopback.
pub(crate) fn endpoint(port: u16, identity: &Path, known_hosts: &Path) -> Endpoint {
    Endpoint {
        address: Some("127.0.0.1".to_owned()),
        port: Some(port),
        user: Some("root".to_owned()),
        identity_files: vec![identity.to_owned()],
        known_hosts_files: vec![known_hosts.to_owned()],
        ..Endpoint::default()
    }
}

/// A way to the hosts, with the fake agent and nobody to ask.
pub(crate) fn ssh(options: SshOptions, hosts: Vec<(&str, Endpoint)>) -> Ssh {
    ssh_with(options, hosts, fake_agent(0), Box::new(ssh::NoPrompt))
}

pub(crate) fn ssh_with(
    options: SshOptions,
    hosts: Vec<(&str, Endpoint)>,
    agent: AgentBinary,
    prompt: Box<dyn Prompt>,
) -> Ssh {
    let endpoints: BTreeMap<_, _> = hosts
        .into_iter()
        .map(|(name, endpoint)| (host(name), endpoint))
        .collect();
    Ssh::new(options, endpoints, agent, prompt)
}

/// Answers with one passphrase, and counts how often it was asked.
pub(crate) struct Typed {
    pub(crate) passphrase: &'static str,
    pub(crate) asked: std::sync::Arc<AtomicU32>,
}

impl Prompt for Typed {
    fn passphrase(&self, _file: &Path) -> Option<Secret> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Some(Secret::new(self.passphrase))
    }
}

/// Makes a key pair, and gives the private file's path.
pub(crate) fn keygen(folder: &Path, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-t"])
        .args(kind)
        .arg("-f")
        .arg(&file)
        .status()
        .expect("these tests need openssh-client");
    assert!(made.success());
    file
}
