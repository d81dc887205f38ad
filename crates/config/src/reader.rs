//! Reading tables key by key, collecting every error instead of stopping at the first.
//!
//! A [`Reader`] is asked for keys by name and type. What it was never asked for is an unknown key, and
//! [`Reader::finish`] reports it with the nearest name that it was asked for; so the list of known keys is the
//! code that reads them, and cannot be forgotten.

use std::cell::RefCell;
use std::str::FromStr;

use types::{Diagnostic, NameError, SecretId, Span};

use crate::findings::wrong_value;
use crate::secret::{self, SecretRule};
use crate::value::{Entry, Table, Value, ValueKind};

pub use crate::findings::{Findings, bad_name, with_suggestion};

/// Reads one table.
pub struct Reader<'a> {
    table: &'a Table,
    /// What the table is, for messages: `a setting of rabbitmq`.
    what: &'a str,
    findings: &'a Findings,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// Starts to read a table; `what` completes "not …" in the report of an unknown key.
    pub fn new(table: &'a Table, what: &'a str, findings: &'a Findings) -> Self {
        Self {
            table,
            what,
            findings,
            asked: RefCell::default(),
        }
    }

    /// The table's place.
    pub fn span(&self) -> Span {
        self.table.span
    }

    /// Where errors go.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The value of a key, whatever it is.
    pub fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, whatever it is.
    pub fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    /// A string.
    pub fn string(&self, key: &'static str) -> Option<&'a str> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::String(text) => Some(text),
            other => self.mismatch(value.span, key, "a string", other),
        }
    }

    /// A string that a rule accepts, such as a name.
    pub fn parsed<T: FromStr<Err = NameError>>(&self, key: &'static str) -> Option<T> {
        let text = self.string(key)?;
        let span = self.value(key)?.span;
        text.parse()
            .map_err(|error: NameError| self.findings.report(bad_name(span, &error)))
            .ok()
    }

    /// A boolean.
    pub fn bool(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::Bool(flag) => Some(*flag),
            other => self.mismatch(value.span, key, "true or false", other),
        }
    }

    /// An integer within a range.
    pub fn int(&self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::Int(number) if range.contains(number) => Some(*number),
            ValueKind::Int(number) => {
                let (low, high) = range.into_inner();
                self.findings.report(
                    Diagnostic::error(format!("{key} is {number}"))
                        .at(value.span, format!("expected {low} to {high}")),
                );
                None
            }
            other => self.mismatch(value.span, key, "an integer", other),
        }
    }

    /// A TCP port.
    pub fn port(&self, key: &'static str) -> Option<u16> {
        self.int(key, 1..=65535).and_then(|port| u16::try_from(port).ok())
    }

    /// A time in seconds.
    pub fn seconds(&self, key: &'static str) -> Option<u64> {
        self.int(key, 1..=86_400)
            .and_then(|seconds| u64::try_from(seconds).ok())
    }

    /// An array of strings, each with its place; one string stands for an array of one.
    pub fn strings(&self, key: &'static str) -> Option<Vec<(&'a str, Span)>> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::String(text) => Some(vec![(text, value.span)]),
            ValueKind::Array(items) => Some(items.iter().filter_map(|item| self.item(key, item)).collect()),
            other => self.mismatch(value.span, key, "an array of strings", other),
        }
    }

    fn item(&self, key: &str, item: &'a Value) -> Option<(&'a str, Span)> {
        match &item.kind {
            ValueKind::String(text) => Some((text, item.span)),
            other => self.mismatch(item.span, key, "a string", other),
        }
    }

    /// A table.
    pub fn table(&self, key: &'static str) -> Option<&'a Table> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::Table(table) => Some(table),
            other => self.mismatch(value.span, key, "a table", other),
        }
    }

    /// A reference to a secret.
    pub fn secret(&self, key: &'static str, rule: SecretRule) -> Option<SecretId> {
        self.reference(self.entry(key)?, rule)
    }

    /// A table of references to secrets, under names that the operator chose; each with its entry.
    pub fn secrets(&self, key: &'static str, rule: SecretRule) -> Vec<(&'a Entry, SecretId)> {
        let entries = self.table(key).map_or(&[][..], |table| &table.entries);
        entries
            .iter()
            .filter_map(|entry| Some((entry, self.reference(entry, rule)?)))
            .collect()
    }

    fn reference(&self, entry: &Entry, rule: SecretRule) -> Option<SecretId> {
        match secret::read(entry, rule) {
            Ok(secret) => {
                let id = secret.id.clone();
                self.findings.need(secret);
                Some(id)
            }
            Err(diagnostic) => {
                self.findings.report(*diagnostic);
                None
            }
        }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let span = self.value(key)?.span;
            let diagnostic = Diagnostic::error(format!("{key} cannot be {text:?}"))
                .at(span, format!("expected {}", words.join(", ")));
            self.findings.report(with_suggestion(diagnostic, text, words));
        }
        found
    }

    /// Reports that a key is missing unless the value is there.
    pub fn required<T>(&self, key: &'static str, value: Option<T>, why: &str) -> Option<T> {
        // A key that is there and wrong was reported already.
        if value.is_none() && self.table.get(key).is_none() {
            self.findings.report(
                Diagnostic::error(format!("{key} is missing"))
                    .at(self.table.span, format!("needs {key}"))
                    .hint(why),
            );
        }
        value
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for entry in &self.table.entries {
            if !asked.contains(&entry.key.as_str()) {
                let diagnostic = Diagnostic::error(format!("unknown key {:?}", entry.key))
                    .at(entry.key_span, format!("not {}", self.what));
                self.findings
                    .report(with_suggestion(diagnostic, &entry.key, asked.iter().copied()));
            }
        }
    }

    fn mismatch<T>(&self, span: Span, key: &str, expected: &str, found: &ValueKind) -> Option<T> {
        self.findings.report(wrong_value(key, span, expected, found));
        None
    }
}
