//! Groups of hosts, and names of hosts and groups as hosts.

use std::collections::BTreeMap;

use types::{Diagnostic, HostName, Span};

use super::hosts::{Host, ssh_settings};
use crate::findings::{Findings, with_suggestion, wrong_value};
use crate::reader::Reader;
use crate::value::{Entry, ValueKind};

/// Reads the groups; the settings of a group are for the hosts in it.
pub(super) fn read(
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
                let what = format!("the group {key}");
                let expected = "a table with hosts = [...]";
                findings.report(wrong_value(&what, value.span, expected, other));
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
pub(super) fn members_of(
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
pub(super) fn expand<'n>(
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
