//! Reader groups: the accounts whose tasks a host of procworkflow reads.
//!
//! An account that is in two groups stops the service from starting (the runbook, "Configuring Custom Reader Groups"),
//! on a host that was just restarted. So it is an error of the inventory, at its line, before anything is touched.

use std::ops::RangeInclusive;

use config::reader::with_suggestion;
use config::value::Entry;
use config::{Findings, Reader, Table, ValueKind};
use types::{Diagnostic, HostName, Span};

use super::accounts::{overlap, parse, subtract};

/// The group of all accounts that no other one includes.
const DEFAULT: &str = "default";

/// A group, as main.json has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Accounts: numbers and ranges, `1-5,8`.
    pub(crate) include: String,
    pub(crate) exclude: String,
    /// Those that are left after exclusion, as ranges in order.
    accounts: Vec<RangeInclusive<u64>>,
    span: Span,
}

/// The groups, and which host reads which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<Group>,
    pub(crate) readers: Vec<(HostName, String)>,
}

impl Groups {
    /// The group that a host reads, where it is not the default one.
    pub(crate) fn of(&self, host: &HostName) -> Option<&str> {
        let reader = self.readers.iter().find(|(reader, _)| reader == host);
        reader.map(|(_, group)| group.as_str())
    }
}

/// Reads `reader_groups` and `readers`; `None` where the inventory says nothing of either, and main.json keeps what it has.
pub(crate) fn read(outer: &Reader<'_>, hosts: &[HostName], findings: &Findings) -> Option<Groups> {
    let table = outer.table("reader_groups");
    let readers = outer.table("readers");
    if table.is_none() && readers.is_none() {
        return None;
    }
    let entries = |table: Option<&Table>| table.map(|table| table.entries.clone()).unwrap_or_default();
    let groups: Vec<Group> = entries(table)
        .iter()
        .filter_map(|entry| group(entry, findings))
        .collect();
    for (at, group) in groups.iter().enumerate() {
        for earlier in &groups[..at] {
            report_overlap(earlier, group, findings);
        }
    }
    let readers = entries(readers);
    let readers = readers.iter();
    Some(Groups {
        readers: readers
            .filter_map(|entry| reader(entry, &groups, hosts, findings))
            .collect(),
        groups,
    })
}

fn group(entry: &Entry, findings: &Findings) -> Option<Group> {
    let (name, span) = (&entry.key, entry.key_span);
    let ValueKind::Table(table) = &entry.value.kind else {
        let found = format!("the reader group {name} is {}", entry.value.kind.describe());
        let label = "expected a table: { include = \"1-5,8\", exclude = \"2\" }";
        findings.report(Diagnostic::error(found).at(entry.value.span, label));
        return None;
    };
    if name == DEFAULT {
        let diagnostic = Diagnostic::error("the reader group default must not be defined");
        findings.report(diagnostic.at(span, "it has the accounts that no other group includes"));
    }
    let reader = Reader::new(table, "a key of a reader group", findings);
    let include = reader.required(
        "include",
        reader.string("include"),
        "the accounts: include = \"1-5,8\"",
    );
    let exclude = reader.string("exclude").unwrap_or_default();
    let ranges = |key: &'static str, text: &str| {
        let place = reader.value(key).map_or(span, |value| value.span);
        let report = |why: String| {
            let found = format!("{key} of the reader group {name} is {text:?}");
            findings.report(Diagnostic::error(found).at(place, why));
        };
        parse(text).map_err(report).ok()
    };
    let included = include.and_then(|text| ranges("include", text));
    let excluded = ranges("exclude", exclude);
    reader.finish();
    let accounts = subtract(included?, &excluded?);
    if accounts.is_empty() {
        findings.report(
            Diagnostic::error(format!("the reader group {name} has no account"))
                .at(span, "nothing is left after exclusion"),
        );
    }
    Some(Group {
        name: name.clone(),
        include: include?.to_owned(),
        exclude: exclude.to_owned(),
        accounts,
        span,
    })
}

fn report_overlap(earlier: &Group, later: &Group, findings: &Findings) {
    let Some(account) = overlap(&earlier.accounts, &later.accounts) else {
        return;
    };
    let (first, second) = (&earlier.name, &later.name);
    findings.report(
        Diagnostic::error(format!(
            "account {account} is in two reader groups: {first} and {second}"
        ))
        .at(
            later.span,
            format!("includes account {account}, which {first} has already"),
        )
        .related(earlier.span, format!("includes account {account}"))
        .hint(format!(
            "exclude it from one of them, e.g. exclude = \"{account}\": procworkflow does not start otherwise"
        )),
    );
}

fn reader(
    entry: &Entry,
    groups: &[Group],
    hosts: &[HostName],
    findings: &Findings,
) -> Option<(HostName, String)> {
    let Some(host) = hosts.iter().find(|host| host.as_str() == entry.key) else {
        let diagnostic = Diagnostic::error(format!("{:?} reads for no group", entry.key))
            .at(entry.key_span, "not a host of this service");
        findings.report(with_suggestion(
            diagnostic,
            &entry.key,
            hosts.iter().map(HostName::as_str),
        ));
        return None;
    };
    let ValueKind::String(group) = &entry.value.kind else {
        let found = format!("the reader group of {host} is {}", entry.value.kind.describe());
        findings.report(Diagnostic::error(found).at(entry.value.span, "expected the name of a reader group"));
        return None;
    };
    if group == DEFAULT {
        return None;
    }
    if !groups.iter().any(|known| known.name == *group) {
        let diagnostic = Diagnostic::error(format!("there is no reader group {group:?}"))
            .at(entry.value.span, format!("{host} would read no accounts"));
        let known = groups.iter().map(|group| group.name.as_str()).chain([DEFAULT]);
        findings.report(with_suggestion(diagnostic, group, known));
        return None;
    }
    Some((host.clone(), group.clone()))
}
