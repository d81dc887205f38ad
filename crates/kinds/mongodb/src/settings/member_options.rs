//! Options of single members: priority, votes, hidden, arbiter, delay, tags.
//!
//! An option that the inventory does not give is not managed: an existing member keeps its own.

use config::value::Entry;
use config::{Findings, Reader, Table, ValueKind};
use types::{Diagnostic, HostName, ServiceName, Span};

/// The options of a member; `None` for one that the inventory does not give.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MemberOptions {
    pub(crate) priority: Option<f64>,
    pub(crate) votes: Option<bool>,
    pub(crate) hidden: Option<bool>,
    pub(crate) is_arbiter: bool,
    pub(crate) delay_s: Option<i64>,
    pub(crate) tags: Option<Vec<(String, String)>>,
}

impl MemberOptions {
    /// Whether the member can never be the primary.
    pub(crate) fn is_passive(&self) -> bool {
        self.is_arbiter
            || self.priority == Some(0.0)
            || self.votes == Some(false)
            || self.hidden == Some(true)
            || self.delay_s.is_some_and(|delay| delay > 0)
    }
}

/// A set has at most so many voters (<https://www.mongodb.com/docs/manual/reference/limits/>).
const MOST_VOTERS: usize = 7;
/// And so many members.
const MOST_MEMBERS: usize = 50;

/// Reads `members`: a table of options by host.
pub(super) fn read(reader: &Reader<'_>, hosts: &[HostName], findings: &Findings) -> Vec<MemberOptions> {
    let mut all = vec![MemberOptions::default(); hosts.len()];
    let entries = reader.table("members").map_or(&[][..], |table| &table.entries);
    for entry in entries {
        let at = hosts.iter().position(|host| host.as_str() == entry.key);
        match (&entry.value.kind, at) {
            (ValueKind::Table(table), Some(at)) => all[at] = member(entry, table, findings),
            (_, None) => {
                let label = "not one of the service's hosts";
                findings.report(
                    Diagnostic::error(format!("there is no member {:?}", entry.key))
                        .at(entry.key_span, label),
                );
            }
            (other, _) => {
                let found = format!("the member {} is {}", entry.key, other.describe());
                findings.report(Diagnostic::error(found).at(entry.value.span, "expected a table"));
            }
        }
    }
    all
}

fn member(entry: &Entry, table: &Table, findings: &Findings) -> MemberOptions {
    let reader = Reader::new(table, "a key of a member", findings);
    let options = MemberOptions {
        priority: priority(&reader),
        votes: reader.int("votes", 0..=1).map(|votes| votes == 1),
        hidden: reader.bool("hidden"),
        is_arbiter: reader.bool("arbiter").unwrap_or(false),
        delay_s: reader.int("delay_s", 0..=31_536_000),
        tags: reader.table("tags").map(|table| tags(table, findings)),
    };
    reader.finish();
    let wrong = |what: &str| {
        findings.report(
            Diagnostic::error(format!("{}: {what}", entry.key)).at(entry.key_span, "contradicts itself"),
        );
    };
    let has_priority = options.priority.is_some_and(|priority| priority > 0.0);
    if options.is_arbiter && (has_priority || options.hidden.is_some() || options.delay_s.is_some()) {
        wrong("an arbiter has neither data nor priority");
    }
    if options.is_arbiter && options.votes == Some(false) {
        wrong("an arbiter without a vote has no use");
    }
    let is_passive = MemberOptions {
        priority: None,
        ..options.clone()
    }
    .is_passive();
    if has_priority && is_passive && !options.is_arbiter {
        wrong("a member without a vote, hidden or delayed, has priority 0");
    }
    options
}

fn priority(reader: &Reader<'_>) -> Option<f64> {
    let value = reader.value("priority")?;
    let number = match &value.kind {
        ValueKind::Int(number) => number.to_string().parse().ok(),
        ValueKind::Float(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| (0.0..=1000.0).contains(number));
    if number.is_none() {
        reader.findings().report(
            Diagnostic::error("priority is out of range").at(value.span, "expected a number from 0 to 1000"),
        );
    }
    number
}

fn tags(table: &Table, findings: &Findings) -> Vec<(String, String)> {
    let tags = table.entries.iter().filter_map(|entry| match &entry.value.kind {
        ValueKind::String(text) => Some((entry.key.clone(), text.clone())),
        other => {
            let found = format!("the tag {} is {}", entry.key, other.describe());
            findings.report(Diagnostic::error(found).at(entry.value.span, "expected a string"));
            None
        }
    });
    tags.collect()
}

/// Judges the members of a set together.
pub(super) fn check(service: &ServiceName, members: &[MemberOptions], span: Span, findings: &Findings) {
    let error =
        |what: String, label: &str| findings.report(Diagnostic::error(what).at(span, label.to_owned()));
    let voters = members
        .iter()
        .filter(|member| member.votes != Some(false))
        .count();
    if voters > MOST_VOTERS {
        error(
            format!("{service} has {voters} voting members"),
            "a set has at most 7: give the others votes = 0",
        );
    }
    if members.len() > MOST_MEMBERS {
        error(
            format!("{service} has {} members", members.len()),
            "a set has at most 50",
        );
    }
    if !members.is_empty() && members.iter().all(MemberOptions::is_passive) {
        error(
            format!("{service} has no member that can be the primary"),
            "one must have a priority",
        );
    }
    if voters < 3 || voters % 2 == 0 {
        let found = format!("{service} has {voters} voting members");
        let label = if voters < 3 {
            "the loss of one leaves no majority"
        } else {
            "an even number survives no more losses than one less"
        };
        findings.report(
            Diagnostic::warning(found)
                .at(span, label)
                .hint("three members survive the loss of one"),
        );
    }
}
