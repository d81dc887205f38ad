//! The inventory: which hosts there are, how they are reached, and which services run on them.
//!
//! Each host is named once. A service lists its hosts, by name or by group, in order; its other keys are its
//! kind's business and are kept as they were written until the kind reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use types::{Diagnostic, HostName, NameError, ServiceName, SourceId, Sources, Span};

use crate::merge;
use crate::reader::{Findings, Reader, bad_name, with_suggestion};
use crate::value::{self, Entry, Table, ValueKind};

/// Everything that the inventory and its overlays say.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The hosts.
    pub hosts: BTreeMap<HostName, Host>,
    /// The services, in the order in which they are written.
    pub services: Vec<ServiceDecl>,
    /// Named lists of hosts.
    pub groups: BTreeMap<String, Vec<HostName>>,
    /// Whether a block in /etc/hosts of every host names all hosts of the inventory.
    pub manage_hosts_file: bool,
    /// Whether short and well-known secrets are let through.
    pub allow_weak_secrets: bool,
    /// Values for `{{ name }}` in playbooks.
    pub vars: BTreeMap<String, String>,
}

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its address for SSH and, where it is numeric, for services; `None` where the name itself resolves.
    pub address: Option<String>,
    /// How it is reached.
    pub ssh: SshSettings,
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

/// A service as it is declared; its kind reads the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceDecl {
    /// Its name.
    pub name: ServiceName,
    /// Its kind.
    pub kind: String,
    /// Where the kind is named (or the service, where its name is the kind).
    pub kind_span: Span,
    /// Its hosts, in order, each once.
    pub hosts: Vec<HostName>,
    /// Its other keys.
    pub settings: Table,
}

impl Inventory {
    /// Reads an inventory with its overlays, in the order in which they are laid on.
    ///
    /// What is wrong goes to `findings`; what is returned is complete only if nothing is.
    pub fn read(sources: &Sources, inventory: SourceId, overlays: &[SourceId], findings: &Findings) -> Self {
        let mut root = read_source(sources, inventory, findings);
        for &id in overlays {
            merge::overlay(&mut root, read_source(sources, id, findings));
        }
        let reader = Reader::new(&root, "a key of an inventory", findings);
        let all = reader
            .table("ssh")
            .map(|table| ssh_settings(table, findings))
            .unwrap_or_default();
        let mut hosts = read_hosts(&reader, findings);
        let groups = read_groups(&reader, &mut hosts, findings);
        for host in hosts.values_mut() {
            host.ssh.fill_from(&all);
        }
        let services = read_services(&reader, &hosts, &groups, findings);
        let inventory = Self {
            manage_hosts_file: reader.bool("manage_hosts_file").unwrap_or(false),
            allow_weak_secrets: reader.bool("allow_weak_secrets").unwrap_or(false),
            vars: reader
                .table("vars")
                .map(|table| read_vars(table, findings))
                .unwrap_or_default(),
            hosts,
            services,
            groups,
        };
        reader.finish();
        inventory
    }

    /// The hosts that no service of a kind lists. One of them may have been a member of such a service.
    pub fn hosts_without(&self, kind: &str) -> Vec<HostName> {
        let services = self.services.iter().filter(|service| service.kind == kind);
        let taken: BTreeSet<&HostName> = services.flat_map(|service| &service.hosts).collect();
        let hosts = self.hosts.keys();
        hosts.filter(|host| !taken.contains(host)).cloned().collect()
    }

    /// Where other hosts reach a host: at its address, else under its name. An address of the loopback is for a tunnel:
    /// nobody else reaches the host there.
    pub fn reached_at<'a>(&'a self, host: &'a HostName) -> &'a str {
        let address = self.hosts.get(host).and_then(|host| host.address.as_deref());
        let is_loopback = |text: &&str| text.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        address.filter(|text| !is_loopback(text)).unwrap_or(host.as_str())
    }

    /// The hosts that a playbook names, groups replaced by their members, in order.
    pub fn hosts_named(&self, names: &[(String, Span)], findings: &Findings) -> Vec<HostName> {
        expand(
            names.iter().map(|(name, span)| (name.as_str(), *span)),
            &self.hosts,
            &self.groups,
            findings,
        )
    }
}

fn read_source(sources: &Sources, id: SourceId, findings: &Findings) -> Table {
    let (table, diagnostics) = value::parse(sources, id);
    for diagnostic in diagnostics {
        findings.report(diagnostic);
    }
    table
}

fn read_hosts(reader: &Reader<'_>, findings: &Findings) -> BTreeMap<HostName, Host> {
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
        let (address, ssh) = match &entry.value.kind {
            ValueKind::String(address) => {
                (Some((address.as_str(), entry.value.span)), SshSettings::default())
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
                host.finish();
                (address, ssh)
            }
            other => {
                let found = format!("the host {name} is {}", other.describe());
                findings
                    .report(Diagnostic::error(found).at(entry.value.span, "expected an address, or a table"));
                // The host exists anyway: naming it is no mistake.
                (None, SshSettings::default())
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
                span: entry.key_span,
            },
        );
    }
    hosts
}

/// Whether it is an address: numeric, or a name. What has only digits and dots is no name but a slip of the pen.
fn check_address(text: &str) -> Result<(), NameError> {
    if text.parse::<std::net::IpAddr>().is_ok() {
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

fn read_groups(
    reader: &Reader<'_>,
    hosts: &mut BTreeMap<HostName, Host>,
    findings: &Findings,
) -> BTreeMap<String, Vec<HostName>> {
    let mut groups = BTreeMap::new();
    let table = reader.table("groups");
    for Entry { key, key_span, value } in table.map(|table| table.entries.as_slice()).unwrap_or_default() {
        let members = match &value.kind {
            ValueKind::Table(table) => {
                let group = Reader::new(table, "a key of a group", findings);
                let members = members_of(&group, hosts, &groups, findings);
                if let Some(table) = group.table("ssh") {
                    let ssh = ssh_settings(table, findings);
                    for member in &members {
                        if let Some(host) = hosts.get_mut(member) {
                            host.ssh.fill_from(&ssh);
                        }
                    }
                }
                group.finish();
                members
            }
            other => {
                let found = format!("the group {key} is {}", other.describe());
                findings
                    .report(Diagnostic::error(found).at(value.span, "expected a table with hosts = [...]"));
                Vec::new()
            }
        };
        if key
            .parse::<HostName>()
            .is_ok_and(|name| hosts.contains_key(&name))
        {
            findings.report(
                Diagnostic::error(format!("{key} is a host and a group"))
                    .at(*key_span, "choose another name"),
            );
        }
        groups.insert(key.clone(), members);
    }
    groups
}

/// The hosts that a `hosts` key lists, groups replaced by their members.
fn members_of(
    reader: &Reader<'_>,
    hosts: &BTreeMap<HostName, Host>,
    groups: &BTreeMap<String, Vec<HostName>>,
    findings: &Findings,
) -> Vec<HostName> {
    let named = reader.required(
        "hosts",
        reader.strings("hosts"),
        "list hosts or groups: hosts = [\"db1\", \"db2\"]",
    );
    expand(named.unwrap_or_default(), hosts, groups, findings)
}

/// Names of hosts and groups as hosts, in order, each once.
fn expand<'n>(
    names: impl IntoIterator<Item = (&'n str, Span)>,
    hosts: &BTreeMap<HostName, Host>,
    groups: &BTreeMap<String, Vec<HostName>>,
    findings: &Findings,
) -> Vec<HostName> {
    let mut members: Vec<HostName> = Vec::new();
    for (name, span) in names {
        let host = || hosts.keys().find(|host| host.as_str() == name);
        let Some(found) = groups.get(name).cloned().or_else(|| Some(vec![host()?.clone()])) else {
            let known = hosts
                .keys()
                .map(HostName::as_str)
                .chain(groups.keys().map(String::as_str));
            let diagnostic = Diagnostic::error(format!("there is no host {name:?}"))
                .at(span, "neither under [hosts] nor a group");
            findings.report(with_suggestion(diagnostic, name, known));
            continue;
        };
        for host in found {
            if members.contains(&host) {
                findings.report(Diagnostic::error(format!("{host} is listed twice")).at(span, "here again"));
            } else {
                members.push(host);
            }
        }
    }
    members
}

fn read_services(
    reader: &Reader<'_>,
    hosts: &BTreeMap<HostName, Host>,
    groups: &BTreeMap<String, Vec<HostName>>,
    findings: &Findings,
) -> Vec<ServiceDecl> {
    let mut services = Vec::new();
    for entry in reader
        .table("services")
        .map(|table| table.entries.as_slice())
        .unwrap_or_default()
    {
        let name: ServiceName = match entry.key.parse() {
            Ok(name) => name,
            Err(error) => {
                findings.report(bad_name(entry.key_span, &error));
                continue;
            }
        };
        let ValueKind::Table(table) = &entry.value.kind else {
            let found = format!("the service {name} is {}", entry.value.kind.describe());
            findings
                .report(Diagnostic::error(found).at(entry.value.span, "expected a table: [services.NAME]"));
            continue;
        };
        // Only these two keys are ours: the reader is not finished, for the kind reads the others.
        let service = Reader::new(table, "a setting", findings);
        let kind = service
            .string("kind")
            .map_or_else(|| name.to_string(), str::to_owned);
        let kind_span = service.value("kind").map_or(entry.key_span, |value| value.span);
        let members = members_of(&service, hosts, groups, findings);
        if let Some(value) = service.value("hosts")
            && matches!(&value.kind, ValueKind::Array(items) if items.is_empty())
        {
            findings.report(
                Diagnostic::error(format!("the service {name} has no hosts"))
                    .at(value.span, "list hosts or groups"),
            );
        }
        let mut settings = table.clone();
        settings.span = entry.key_span;
        settings
            .entries
            .retain(|entry| entry.key != "kind" && entry.key != "hosts");
        services.push(ServiceDecl {
            name,
            kind,
            kind_span,
            hosts: members,
            settings,
        });
    }
    services
}

fn read_vars(table: &Table, findings: &Findings) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    for entry in &table.entries {
        let text = match &entry.value.kind {
            ValueKind::String(text) => text.clone(),
            ValueKind::Int(number) => number.to_string(),
            ValueKind::Bool(flag) => flag.to_string(),
            other => {
                let found = format!("the variable {} is {}", entry.key, other.describe());
                findings.report(
                    Diagnostic::error(found)
                        .at(entry.value.span, "expected a string, an integer or a boolean"),
                );
                continue;
            }
        };
        vars.insert(entry.key.clone(), text);
    }
    vars
}

fn ssh_settings(table: &Table, findings: &Findings) -> SshSettings {
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
    fn fill_from(&mut self, general: &Self) {
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
