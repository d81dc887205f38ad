//! More keys of main.json, which the inventory names.

use config::{Findings, Table, Value as Toml, ValueKind};
use serde_json::Value;
use types::Diagnostic;

use super::names_a_secret;
use formats::main_json::{Want, Wants};

pub(super) fn read(table: &Table, findings: &Findings) -> Wants {
    let entries = table.entries.iter().filter_map(|entry| {
        if names_a_secret(&entry.key) {
            findings.report(
                Diagnostic::error(format!("{} is a secret, and would be written out", entry.key))
                    .at(entry.key_span, "no secret belongs into the inventory")
                    .hint("write it into main.json by hand: it is kept there"),
            );
            return None;
        }
        Some((entry.key.clone(), want(&entry.value, findings)?))
    });
    entries.collect()
}

fn want(value: &Toml, findings: &Findings) -> Option<Want> {
    match &value.kind {
        ValueKind::Table(table) => Some(Want::Has(read(table, findings))),
        _ => json(value, findings).map(Want::Is),
    }
}

fn json(value: &Toml, findings: &Findings) -> Option<Value> {
    match &value.kind {
        ValueKind::String(text) => Some(Value::from(text.as_str())),
        ValueKind::Int(number) => Some(Value::from(*number)),
        ValueKind::Float(text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
            serde_json::from_str(text).ok()
        }
        ValueKind::Bool(flag) => Some(Value::from(*flag)),
        ValueKind::Array(items) => items.iter().map(|item| json(item, findings)).collect(),
        ValueKind::Table(table) => {
            let entries = table
                .entries
                .iter()
                .map(|entry| Some((entry.key.clone(), json(&entry.value, findings)?)));
            entries
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object)
        }
        other => {
            findings.report(
                Diagnostic::error(format!("main.json cannot hold {}", other.describe()))
                    .at(value.span, "expected what JSON has"),
            );
            None
        }
    }
}
