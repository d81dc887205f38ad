//! Hosts, and how they are reached.

use std::collections::BTreeMap;
use std::net::IpAddr;

use types::{HostName, NameError, Span};

use super::pause::{self, Pause};
use crate::findings::{Findings, bad_name, wrong_value};
use crate::reader::Reader;
use crate::value::{Table, ValueKind};

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its address for SSH and, where it is numeric, for services; `None` where the name itself resolves.
    pub address: Option<String>,
    /// How it is reached.
    pub ssh: SshSettings,
    /// Why nothing is done there; `None` where it is not paused.
    pub paused: Option<Pause>,
    /// Where it is named.
    pub span: Span,
}

/// How a host is reached. What is not said here is left to OpenSSH's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshSettings {
    /// The user that logs in.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// Private keys, in the order in which they are offered; a relative path is relative to the inventory.
    pub identity_files: Option<Vec<String>>,
    /// Jump hosts, as in OpenSSH's ProxyJump: `[user@]host[:port]`.
    pub jump: Option<Vec<String>>,
    /// Files of known host keys.
    pub known_hosts: Option<Vec<String>>,
    /// Seconds until a connection attempt is given up.
    pub connect_timeout_s: Option<u64>,
    /// Whether the agent is started through `sudo -n`.
    pub sudo: Option<bool>,
}

/// Reads the hosts.
pub(super) fn read(reader: &Reader<'_>, findings: &Findings) -> BTreeMap<HostName, Host> {
    let mut hosts = BTreeMap::new();
    let table = reader.required(
        "hosts",
        reader.table("hosts"),
        "name each host once, under [hosts]",
    );
    for entry in table.map(|table| table.entries.as_slice()).unwrap_or_default() {
        let name: HostName = match entry.key.parse() {
            Ok(name) => name,
            Err(error) => {
                findings.report(bad_name(entry.key_span, &error));
                continue;
            }
        };
        let (address, ssh, paused) = match &entry.value.kind {
            ValueKind::String(address) => {
                let address = Some((address.as_str(), entry.value.span));
                (address, SshSettings::default(), None)
            }
            ValueKind::Table(table) => {
                let host = Reader::new(table, "a key of a host", findings);
                let address = host
                    .string("address")
                    .zip(host.value("address").map(|value| value.span));
                let ssh = host
                    .table("ssh")
                    .map(|table| ssh_settings(table, findings))
                    .unwrap_or_default();
                let paused = pause::read(&host, findings);
                host.finish();
                (address, ssh, paused)
            }
            other => {
                let what = format!("the host {name}");
                let expected = "an address or a table";
                findings.report(wrong_value(&what, entry.value.span, expected, other));
                // The host exists anyway: naming it is no mistake.
                (None, SshSettings::default(), None)
            }
        };
        let address = address.and_then(|(address, span)| match check_address(address) {
            Ok(()) => Some(address.to_owned()),
            Err(error) => {
                findings.report(bad_name(span, &error).hint("an address is numeric, or a DNS name"));
                None
            }
        });
        hosts.insert(
            name,
            Host {
                address,
                ssh,
                paused,
                span: entry.key_span,
            },
        );
    }
    hosts
}

/// Whether it is an address: numeric, or a name. What has only digits and dots is no name but a slip of the pen.
fn check_address(text: &str) -> Result<(), NameError> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(NameError {
            what: "numeric address",
            text: text.to_owned(),
            rule: "four numbers of at most 255, joined by dots",
        });
    }
    text.parse::<HostName>().map(drop)
}

/// Reads how hosts are reached.
pub(super) fn ssh_settings(table: &Table, findings: &Findings) -> SshSettings {
    let reader = Reader::new(table, "an SSH setting", findings);
    let owned = |list: Option<Vec<(&str, Span)>>| {
        list.map(|items| {
            items
                .into_iter()
                .map(|(item, _)| item.to_owned())
                .collect::<Vec<String>>()
        })
    };
    let settings = SshSettings {
        user: reader.string("user").map(str::to_owned),
        port: reader.port("port"),
        identity_files: owned(reader.strings("identity_file")),
        jump: owned(reader.strings("jump")),
        known_hosts: owned(reader.strings("known_hosts")),
        connect_timeout_s: reader.seconds("connect_timeout"),
        sudo: reader.choice("become", &[("sudo", true), ("none", false)]),
    };
    reader.finish();
    settings
}

impl SshSettings {
    /// Takes from more general settings what is not said here.
    pub(super) fn fill_from(&mut self, general: &Self) {
        fn fill<T: Clone>(own: &mut Option<T>, general: Option<&T>) {
            if own.is_none() {
                *own = general.cloned();
            }
        }
        fill(&mut self.user, general.user.as_ref());
        fill(&mut self.port, general.port.as_ref());
        fill(&mut self.identity_files, general.identity_files.as_ref());
        fill(&mut self.jump, general.jump.as_ref());
        fill(&mut self.known_hosts, general.known_hosts.as_ref());
        fill(&mut self.connect_timeout_s, general.connect_timeout_s.as_ref());
        fill(&mut self.sudo, general.sudo.as_ref());
    }
}
