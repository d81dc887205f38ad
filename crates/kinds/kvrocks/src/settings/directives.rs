//! Directives of the engine that the inventory names.

use config::value::Entry;
use config::{Findings, Table, ValueKind};
use types::Diagnostic;

use super::Directive;
use super::secret_names::can_hold_secret;
use formats::engine::Engine;

pub(super) fn read(table: &Table, engine: Engine, findings: &Findings) -> Vec<Directive> {
    let entries = table.entries.iter();
    entries
        .filter_map(|entry| read_one(entry, engine, findings))
        .collect()
}

fn read_one(entry: &Entry, engine: Engine, findings: &Findings) -> Option<Directive> {
    let key = entry.key.to_ascii_lowercase();
    let wrong = |message: String, label: &str| Diagnostic::error(message).at(entry.key_span, label);
    if let Some(instead) = managed(&key, engine) {
        let diagnostic = wrong(
            format!("{key} is not for directives"),
            "managed by the service itself",
        );
        findings.report(diagnostic.hint(instead));
        return None;
    }
    if !is_name(&key) {
        let message = format!("{:?} is not the name of a directive", entry.key);
        findings.report(wrong(message, "one word"));
        return None;
    }
    if can_hold_secret(&key) {
        findings.report(
            wrong(
                format!("{key} can hold a secret, and secrets do not stand in an inventory"),
                "a value in clear",
            )
            .hint("write it into the file by hand: it is kept there, and not shown"),
        );
        return None;
    }
    if cannot_be_compared(&key, engine) {
        findings.report(wrong(
            format!("{key} cannot be compared with the running server"),
            "write it into the file by hand: it is kept there",
        ));
        return None;
    }
    let values: Option<Vec<String>> = match &entry.value.kind {
        ValueKind::Array(items) => items.iter().map(|item| scalar(&item.kind)).collect(),
        other => scalar(other).map(|value| vec![value]),
    };
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        findings.report(wrong(
            format!("{key} is {}", entry.value.kind.describe()),
            "expected a string, an integer, a boolean, or an array of them for several lines",
        ));
        return None;
    };
    if values.len() > 1 && !Engine::adds_up(&key) {
        let message = format!("{key} has {} lines", values.len());
        findings.report(wrong(message, "only the last one would have an effect"));
    }
    Some(Directive { key, values })
}

fn scalar(value: &ValueKind) -> Option<String> {
    match value {
        ValueKind::String(text) if text.chars().any(char::is_control) => None,
        ValueKind::String(text) if text.is_empty() => Some("\"\"".to_owned()),
        ValueKind::String(text) | ValueKind::Float(text) => Some(text.clone()),
        ValueKind::Int(number) => Some(number.to_string()),
        ValueKind::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}

/// Whether this may be the name of a directive.
pub(super) fn is_name(key: &str) -> bool {
    !key.is_empty() && !key.contains(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
}

/// Whether CONFIG GET does not tell of it.
pub(super) fn cannot_be_compared(key: &str, engine: Engine) -> bool {
    engine != Engine::Kvrocks && matches!(key, "include" | "loadmodule" | "user" | "rename-command")
}

/// The setting to use instead of a directive that the service manages itself; `None` for all others.
pub(super) fn managed(key: &str, engine: Engine) -> Option<&'static str> {
    match key {
        "port" => Some("set port of the service"),
        "requirepass" | "masterauth" | "primaryauth" => {
            Some("set password of the service: all members share it")
        }
        "bind" => Some("set bind of the service"),
        "slaveof" | "replicaof" => Some(
            "roles are the state of the cluster: Sentinel hands them out, and new members join by themselves",
        ),
        "use-rsid-psync" if engine == Engine::Kvrocks => {
            Some("it is always yes: without it a restarted old master can keep stray writes")
        }
        _ => None,
    }
}
