//! Reading keys of rabbitmq.conf in the inventory.

use config::{Findings, Table, Value, ValueKind};
use types::{Diagnostic, Span};

/// Reads `config`: keys with dots, tables below tables, or both.
pub(super) fn read(table: &Table, findings: &Findings) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    collect("", table, findings, &mut keys);
    keys
}

fn collect(prefix: &str, table: &Table, findings: &Findings, keys: &mut Vec<(String, String)>) {
    for entry in &table.entries {
        let path = match prefix {
            "" => entry.key.clone(),
            prefix => format!("{prefix}.{}", entry.key),
        };
        if let ValueKind::Table(inner) = &entry.value.kind {
            collect(&path, inner, findings, keys);
        } else if let Some(value) = scalar(&path, &entry.value, entry.key_span, findings) {
            keys.push((path, value));
        }
    }
}

fn scalar(path: &str, value: &Value, span: Span, findings: &Findings) -> Option<String> {
    let is_word = |text: &str| !text.is_empty() && !text.chars().any(|sign| sign.is_control() || sign == '#');
    if !path
        .chars()
        .all(|sign| sign.is_ascii_alphanumeric() || "._-/".contains(sign))
    {
        let message = format!("{path:?} is not a key of rabbitmq.conf");
        findings.report(Diagnostic::error(message).at(span, "letters, digits, dots and underscores"));
        return None;
    }
    if ["pass", "secret", "cookie"]
        .iter()
        .any(|word| path.to_lowercase().contains(word))
    {
        let found = Diagnostic::error(format!("{path} is not for config"))
            .at(span, "this would be a secret in the open");
        findings.report(found.hint("users and the cookie have settings of their own"));
        return None;
    }
    let found = match &value.kind {
        ValueKind::String(text) if is_word(text) => Some(text.trim().to_owned()),
        ValueKind::Int(number) => Some(number.to_string()),
        ValueKind::Bool(flag) => Some(flag.to_string()),
        ValueKind::Float(text) => Some(text.clone()),
        _ => None,
    };
    if found.is_none() {
        let message = format!("{path} is {}", value.kind.describe());
        findings.report(Diagnostic::error(message).at(span, "expected a string, a number or a boolean"));
    }
    found
}
