//! Reader groups: which accounts' tasks a host of procworkflow reads.
//!
//! An account that is in two groups stops the service from starting (the runbook, "Configuring Custom Reader Groups"),
//! on a host that was just restarted. So it is an error of the inventory, at its line, before anything is touched.

use std::ops::RangeInclusive;

use config::reader::with_suggestion;
use config::{Findings, Reader, ValueKind};
use types::{Diagnostic, HostName, Span};

/// The group of all accounts that no other one includes.
pub(super) const DEFAULT: &str = "default";

/// A group, as main.json has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    /// Accounts: numbers and ranges, `1-5,8`.
    pub(super) include: String,
    pub(super) exclude: String,
    /// Those that are left after exclusion, as ranges in order.
    accounts: Vec<RangeInclusive<u64>>,
    span: Span,
}

/// The groups, and which host reads which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    pub(super) readers: Vec<(HostName, String)>,
}

impl Groups {
    /// The group that a host reads, where it is not the default one.
    pub(super) fn of(&self, host: &HostName) -> Option<&str> {
        let reader = self.readers.iter().find(|(reader, _)| reader == host);
        reader.map(|(_, group)| group.as_str())
    }
}

/// Reads `reader_groups` and `readers`; `None` where the inventory says nothing of either, and main.json keeps what it has.
pub(super) fn read(outer: &Reader<'_>, hosts: &[HostName], findings: &Findings) -> Option<Groups> {
    let table = outer.table("reader_groups");
    let readers = outer.table("readers");
    if table.is_none() && readers.is_none() {
        return None;
    }
    let mut groups: Vec<Group> = Vec::new();
    for entry in table.map(|table| table.entries.as_slice()).unwrap_or_default() {
        let ValueKind::Table(inner) = &entry.value.kind else {
            let found = format!(
                "the reader group {} is {}",
                entry.key,
                entry.value.kind.describe()
            );
            findings.report(Diagnostic::error(found).at(
                entry.value.span,
                "expected a table: { include = \"1-5,8\", exclude = \"2\" }",
            ));
            continue;
        };
        if entry.key == DEFAULT {
            findings.report(
                Diagnostic::error("the reader group default is not to be defined").at(
                    entry.key_span,
                    "it takes the accounts that no other group includes",
                ),
            );
        }
        let inner = Reader::new(inner, "a key of a reader group", findings);
        groups.extend(group(&entry.key, entry.key_span, inner));
    }
    for (at, group) in groups.iter().enumerate() {
        for earlier in &groups[..at] {
            findings_of_overlap(earlier, group, findings);
        }
    }
    let mut read = Vec::new();
    for entry in readers.map(|table| table.entries.as_slice()).unwrap_or_default() {
        read.extend(reader(entry, &groups, hosts, findings));
    }
    Some(Groups {
        groups,
        readers: read,
    })
}

fn group(name: &str, span: Span, reader: Reader<'_>) -> Option<Group> {
    let findings = reader.findings();
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
        name: name.to_owned(),
        include: include?.to_owned(),
        exclude: exclude.to_owned(),
        accounts,
        span,
    })
}

fn findings_of_overlap(earlier: &Group, later: &Group, findings: &Findings) {
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
    entry: &config::value::Entry,
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
            .at(entry.value.span, format!("{host} would read for nobody"));
        let known = groups.iter().map(|group| group.name.as_str()).chain([DEFAULT]);
        findings.report(with_suggestion(diagnostic, group, known));
        return None;
    }
    Some((host.clone(), group.clone()))
}

/// Accounts as ranges; empty text is no account.
fn parse(text: &str) -> Result<Vec<RangeInclusive<u64>>, String> {
    let number = |word: &str| {
        let word = word.trim();
        word.parse::<u64>()
            .map_err(|_| format!("{word:?} is not an account's number; write \"1-5,8\""))
    };
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|_| !text.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{first}-{last} goes backwards"));
        }
        ranges.push(first..=last);
    }
    Ok(ranges)
}

fn subtract(
    included: Vec<RangeInclusive<u64>>,
    excluded: &[RangeInclusive<u64>],
) -> Vec<RangeInclusive<u64>> {
    let mut left = included;
    for hole in excluded {
        let mut rest = Vec::new();
        for range in left {
            if range.end() < hole.start() || hole.end() < range.start() {
                rest.push(range);
                continue;
            }
            if range.start() < hole.start() {
                rest.push(*range.start()..=hole.start() - 1);
            }
            if hole.end() < range.end() {
                rest.push(hole.end() + 1..=*range.end());
            }
        }
        left = rest;
    }
    left.sort_by_key(|range| *range.start());
    left
}

/// The first account that is in both.
fn overlap(a: &[RangeInclusive<u64>], b: &[RangeInclusive<u64>]) -> Option<u64> {
    let both = a.iter().flat_map(|one| b.iter().map(move |other| (one, other)));
    let common = both.filter_map(|(one, other)| {
        let (first, last) = (one.start().max(other.start()), one.end().min(other.end()));
        (first <= last).then_some(*first)
    });
    common.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_numbers_and_ranges() {
        assert_eq!(parse("1-5, 8"), Ok(vec![1..=5, 8..=8]));
        assert_eq!(parse(" "), Ok(vec![]));
        assert!(parse("5-1").is_err() && parse("1,").is_err() && parse("a").is_err() && parse("-3").is_err());
    }

    #[test]
    fn exclusion_cuts_holes() {
        assert_eq!(subtract(vec![1..=5, 8..=8], &[2..=3, 8..=9]), vec![1..=1, 4..=5]);
        assert_eq!(subtract(vec![0..=u64::MAX], &[0..=u64::MAX]), vec![]);
        assert_eq!(overlap(&[1..=1, 4..=9], &[2..=3, 7..=8]), Some(7));
        assert_eq!(overlap(&[1..=1], &[2..=2]), None);
    }
}
