//! Policies of the inventory.

use config::{Findings, Reader, Table, Value, ValueKind};
use serde_json::Value as Json;
use types::Diagnostic;

/// A policy as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// The virtual hosts that have it; `None` for all that exist.
    pub(crate) vhosts: Option<Vec<String>>,
    pub(crate) pattern: String,
    pub(crate) definition: serde_json::Map<String, Json>,
    pub(crate) priority: i64,
    /// `all`, `queues` or `exchanges` (and their finer sorts since 3.12).
    pub(crate) apply_to: String,
}

/// Reads `policies`; `None` where the inventory is silent.
pub(super) fn read(reader: &Reader<'_>, findings: &Findings) -> Option<Vec<Policy>> {
    let policies = reader.table("policies")?.entries.iter();
    let policies = policies.filter_map(|entry| policy(&entry.key, &entry.value, findings));
    Some(policies.collect())
}

/// The runbook's policy: `ha-all`.
pub(super) fn mirror_everything() -> Policy {
    let definition = [("ha-mode", "all"), ("ha-sync-mode", "automatic")];
    Policy {
        name: "ha-all".to_owned(),
        vhosts: None,
        pattern: ".*".to_owned(),
        definition: definition
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Json::from(value)))
            .collect(),
        priority: 0,
        apply_to: "all".to_owned(),
    }
}

fn policy(name: &str, value: &Value, findings: &Findings) -> Option<Policy> {
    let ValueKind::Table(table) = &value.kind else {
        let found = format!("the policy {name} is {}", value.kind.describe());
        findings.report(Diagnostic::error(found).at(value.span, "expected a table"));
        return None;
    };
    let reader = Reader::new(table, "a key of a policy", findings);
    let definition = reader.required(
        "definition",
        reader.table("definition"),
        "what the policy sets, e.g. max-length",
    );
    let vhosts = reader
        .strings("vhosts")
        .map(|names| names.into_iter().map(|(name, _)| name.to_owned()).collect());
    let policy = Policy {
        name: name.to_owned(),
        vhosts,
        pattern: reader.string("pattern").unwrap_or(".*").to_owned(),
        definition: definition
            .map(|table| definition_of(table, findings))
            .unwrap_or_default(),
        priority: reader
            .int("priority", i64::from(i32::MIN)..=i64::from(i32::MAX))
            .unwrap_or(0),
        apply_to: reader.string("apply_to").unwrap_or("all").to_owned(),
    };
    reader.finish();
    Some(policy)
}

fn definition_of(table: &Table, findings: &Findings) -> serde_json::Map<String, Json> {
    let mut definition = serde_json::Map::new();
    for entry in &table.entries {
        if let Some(value) = json(&entry.value, findings) {
            definition.insert(entry.key.clone(), value);
        }
    }
    definition
}

fn json(value: &Value, findings: &Findings) -> Option<Json> {
    match &value.kind {
        ValueKind::String(text) => Some(Json::from(text.as_str())),
        ValueKind::Int(number) => Some(Json::from(*number)),
        ValueKind::Bool(flag) => Some(Json::from(*flag)),
        ValueKind::Array(items) => items.iter().map(|item| json(item, findings)).collect(),
        other => {
            findings.report(
                Diagnostic::error(format!("a policy cannot hold {}", other.describe())).at(
                    value.span,
                    "expected a string, an integer, a boolean or an array of them",
                ),
            );
            None
        }
    }
}
