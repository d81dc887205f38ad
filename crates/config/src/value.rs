//! TOML values that know where they were written.
//!
//! serde loses positions in tagged and flattened types, and an error without a position is an error that the
//! operator must search for. So the parser's spanned tree is kept, owned, with the number of the source in each
//! position: after overlays are merged, neighbouring values may come from different files.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use types::{Diagnostic, SourceId, Sources, Span};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: ValueKind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// A string.
    String(String),
    /// An integer.
    Int(i64),
    /// A number with a fraction, as it was written.
    Float(String),
    /// A boolean.
    Bool(bool),
    /// A date or time, as it was written.
    Datetime(String),
    /// An array.
    Array(Vec<Value>),
    /// A table.
    Table(Table),
}

/// A table: keys in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Where it stands: its header, or its braces.
    pub span: Span,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// A key of a table with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Value,
}

impl Table {
    /// A table without entries.
    pub fn empty(span: Span) -> Self {
        Self {
            span,
            entries: Vec::new(),
        }
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl ValueKind {
    /// What it is, in words, for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Int(_) => "an integer",
            // An integer of more than 64 bits has at least as many digits, and no point.
            Self::Float(text) if text.len() >= 16 && !text.contains('.') => "a number out of range",
            Self::Float(_) => "a floating-point number",
            Self::Bool(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses a source. What is wrong is reported, and what can be made of the rest is returned, so that one syntax
/// error does not hide the others.
pub fn parse(sources: &Sources, id: SourceId) -> (Table, Vec<Diagnostic>) {
    let text = sources.get(id).map_or("", |source| source.text.as_str());
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut diagnostics: Vec<Diagnostic> = errors
        .iter()
        .map(|error| {
            let span = Span::new(id, error.span().unwrap_or(0..0));
            Diagnostic::error(error.message().lines().collect::<Vec<_>>().join("; ")).at(span, "")
        })
        .collect();
    let root = table(id, root.span(), root.get_ref());
    for (at, found) in text.match_indices(RESERVED) {
        diagnostics.push(reserved(found, Span::new(id, at..at + found.len())));
    }
    report_escaped(sources, &root, &mut diagnostics);
    (root, diagnostics)
}

/// What stands for references to secrets in plans.
const RESERVED: [char; 2] = [protocol::text::OPEN, protocol::text::CLOSE];

fn reserved(found: &str, span: Span) -> Diagnostic {
    Diagnostic::error(format!("the character {found} is reserved"))
        .at(span, "marks references to secrets in plans")
        .hint("write the text without it")
}

/// Reports reserved characters that are written as escapes; those that stand in the text are reported already.
fn report_escaped(sources: &Sources, table: &Table, diagnostics: &mut Vec<Diagnostic>) {
    for entry in &table.entries {
        report_escaped_in(sources, &entry.key, entry.key_span, diagnostics);
        report_escaped_values(sources, &entry.value, diagnostics);
    }
}

fn report_escaped_values(sources: &Sources, value: &Value, diagnostics: &mut Vec<Diagnostic>) {
    match &value.kind {
        ValueKind::String(text) => report_escaped_in(sources, text, value.span, diagnostics),
        ValueKind::Array(items) => {
            for item in items {
                report_escaped_values(sources, item, diagnostics);
            }
        }
        ValueKind::Table(table) => report_escaped(sources, table, diagnostics),
        _ => {}
    }
}

fn report_escaped_in(sources: &Sources, text: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) {
    let is_written = |found: &str| {
        sources
            .snippet(span)
            .is_some_and(|written| written.contains(found))
    };
    let escaped = text.matches(RESERVED).find(|found| !is_written(found));
    diagnostics.extend(escaped.map(|found| reserved(found, span)));
}

fn table(id: SourceId, span: Range<usize>, table: &DeTable<'_>) -> Table {
    let entries = table.iter().map(|(key, item)| Entry {
        key: key.get_ref().to_string(),
        key_span: Span::new(id, key.span()),
        value: value(id, item),
    });
    Table {
        span: Span::new(id, span),
        entries: entries.collect(),
    }
}

fn value(id: SourceId, item: &Spanned<DeValue<'_>>) -> Value {
    let span = Span::new(id, item.span());
    let kind = match item.get_ref() {
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => ValueKind::Int(number),
            // Out of range: no setting is that large, so its reader says what it expected.
            Err(_) => ValueKind::Float(number.as_str().to_owned()),
        },
        DeValue::Float(number) => ValueKind::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => ValueKind::Bool(*flag),
        DeValue::Datetime(date) => ValueKind::Datetime(date.to_string()),
        DeValue::Array(items) => ValueKind::Array(items.iter().map(|item| value(id, item)).collect()),
        DeValue::Table(inner) => ValueKind::Table(table(id, item.span(), inner)),
    };
    Value { span, kind }
}
