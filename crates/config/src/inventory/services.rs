//! Services, with the settings that their kinds read.

use std::collections::BTreeMap;

use types::{Diagnostic, HostName, ServiceName, Span};

use super::groups::members_of;
use super::hosts::Host;
use super::pause::{self, Pause};
use crate::findings::{Findings, bad_name, wrong_value};
use crate::reader::Reader;
use crate::value::{Table, ValueKind};

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
    /// Why nothing is done with it; `None` where it is not paused.
    pub paused: Option<Pause>,
    /// Its other keys.
    pub settings: Table,
}

/// Reads the services.
pub(super) fn read(
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
            let what = format!("the service {name}");
            let expected = "a table [services.NAME]";
            findings.report(wrong_value(&what, entry.value.span, expected, &entry.value.kind));
            continue;
        };
        // Only these three keys are ours: the reader is not finished, for the kind reads the others.
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
        let paused = pause::read(&service, findings);
        let mut settings = table.clone();
        settings.span = entry.key_span;
        settings
            .entries
            .retain(|entry| !["kind", "hosts", "paused"].contains(&entry.key.as_str()));
        services.push(ServiceDecl {
            name,
            kind,
            kind_span,
            hosts: members,
            paused,
            settings,
        });
    }
    services
}
