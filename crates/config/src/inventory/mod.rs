//! The inventory: which hosts there are, how they are reached, and which services run on them.
//!
//! Each host is named once. A service lists its hosts, by name or by group, in order; its other keys are its
//! kind's business and are kept as they were written until the kind reads them.

mod groups;
mod hosts;
mod pause;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use types::{Diagnostic, HostName, SourceId, Sources, Span};

use crate::findings::{Findings, wrong_value};
use crate::merge;
use crate::reader::Reader;
use crate::value::{self, Table, ValueKind};

pub use hosts::{Host, SshSettings};
pub use pause::{Pause, Until};
pub use services::ServiceDecl;

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
    /// The program, with its arguments, that agrees to a run that makes members unavailable or destroys anything.
    pub before_disruption: Option<Vec<String>>,
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
            .map(|table| hosts::ssh_settings(table, findings))
            .unwrap_or_default();
        let mut hosts = hosts::read(&reader, findings);
        let groups = groups::read(&reader, &mut hosts, findings);
        for host in hosts.values_mut() {
            host.ssh.fill_from(&all);
        }
        let services = services::read(&reader, &hosts, &groups, findings);
        let inventory = Self {
            manage_hosts_file: reader.bool("manage_hosts_file").unwrap_or(false),
            allow_weak_secrets: reader.bool("allow_weak_secrets").unwrap_or(false),
            vars: reader
                .table("vars")
                .map(|table| read_vars(table, findings))
                .unwrap_or_default(),
            before_disruption: read_hook(&reader, findings),
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
        groups::expand(
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

/// Reads the program that is run before a disruption. One string would be a shell's line elsewhere, so it is no list here.
fn read_hook(reader: &Reader<'_>, findings: &Findings) -> Option<Vec<String>> {
    const EXAMPLE: &str = "before_disruption = [\"/usr/local/bin/agree\", \"argument\"]; no shell reads it";
    let value = reader.value("before_disruption")?;
    let words: Option<Vec<String>> = match &value.kind {
        ValueKind::Array(items) => items
            .iter()
            .map(|item| match &item.kind {
                ValueKind::String(word) => Some(word.clone()),
                _ => None,
            })
            .collect(),
        other => {
            let expected = "an array of strings";
            findings.report(wrong_value("before_disruption", value.span, expected, other).hint(EXAMPLE));
            return None;
        }
    };
    let is_command = |words: &Vec<String>| {
        let is_named = words.first().is_some_and(|program| !program.trim().is_empty());
        is_named && !words.iter().any(|word| word.contains('\0'))
    };
    let words = words.filter(is_command);
    if words.is_none() {
        let diagnostic = Diagnostic::error("invalid value for before_disruption");
        findings.report(
            diagnostic
                .at(value.span, "expected a program and its arguments")
                .hint(EXAMPLE),
        );
    }
    words
}

fn read_vars(table: &Table, findings: &Findings) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    for entry in &table.entries {
        let text = match &entry.value.kind {
            ValueKind::String(text) => text.clone(),
            ValueKind::Int(number) => number.to_string(),
            ValueKind::Bool(flag) => flag.to_string(),
            other => {
                let what = format!("the variable {}", entry.key);
                let expected = "a string, an integer or a boolean";
                findings.report(wrong_value(&what, entry.value.span, expected, other));
                continue;
            }
        };
        vars.insert(entry.key.clone(), text);
    }
    vars
}
