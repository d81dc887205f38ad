//! More keys of mongod.conf, as the inventory gives them.

use config::{Findings, Reader, Table, Value as Toml, ValueKind};
use formats::mongod_conf::is_no_switch;
use kit::absent;
use serde_json::Value;
use types::{Diagnostic, Span};

/// Keys of mongod.conf: dotted paths, tables below tables, or both.
pub(super) fn read_config(table: &Table, findings: &Findings) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    collect("", table, findings, &mut keys);
    keys
}

/// Keys that are taken out of the file. A section stands for all keys of it.
pub(super) fn read_absent(reader: &Reader<'_>, config: &[(String, Value)]) -> Vec<String> {
    let is_set = |absent: &str| {
        let mut set = config.iter();
        set.any(|(path, _)| is_below(path, absent) || is_below(absent, path))
    };
    let needed = |absent: &str| {
        let mut needed = NEEDED.iter();
        let path = needed.find(|path| is_below(path, absent) || is_below(absent, path))?;
        Some(match (*path, managed(path)) {
            (_, Some(instead)) => ("managed by the service itself", instead),
            ("storage.dbPath", None) => (
                "without it the server looks elsewhere for its data",
                "leave it where it is",
            ),
            (_, None) => ("the unit counts on it", "leave it where it is"),
        })
    };
    absent(reader, is_set, needed)
}

/// Whether a dotted path is another, or below it.
pub(crate) fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The keys that the service sets, or cannot do without. What the server does not start with any more may well be taken out.
const NEEDED: [&str; 9] = [
    "replication.replSetName",
    "net.port",
    "net.bindIp",
    "net.bindIpAll",
    "security.keyFile",
    "security.authorization",
    "storage.dbPath",
    "processManagement.fork",
    "processManagement.pidFilePath",
];

fn collect(prefix: &str, table: &Table, findings: &Findings, keys: &mut Vec<(String, Value)>) {
    for entry in &table.entries {
        let path = if prefix.is_empty() {
            entry.key.clone()
        } else {
            format!("{prefix}.{}", entry.key)
        };
        if let ValueKind::Table(inner) = &entry.value.kind {
            collect(&path, inner, findings, keys);
            continue;
        }
        if let Some(why) = managed(&path) {
            findings.report(
                Diagnostic::error(format!("{path} is not for config"))
                    .at(entry.key_span, "not set this way")
                    .hint(why),
            );
            continue;
        }
        keys.extend(scalar(&path, &entry.value, entry.key_span, findings).map(|value| (path, value)));
    }
}

fn scalar(path: &str, value: &Toml, span: Span, findings: &Findings) -> Option<Value> {
    let found = match &value.kind {
        ValueKind::String(text) if !text.chars().any(char::is_control) => Some(text.as_str().into()),
        ValueKind::Int(number) => Some((*number).into()),
        ValueKind::Bool(flag) => Some((*flag).into()),
        ValueKind::Float(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    if let Some(value) = found.as_ref().filter(|value| is_no_switch(path, value)) {
        let message = format!("{path} is {value}");
        findings.report(Diagnostic::error(message).at(span, "mongod takes true and false only"));
    }
    if found.is_none() {
        let message = format!("{path} is {}", value.kind.describe());
        findings.report(Diagnostic::error(message).at(span, "expected a string, a number or a boolean"));
    }
    found
}

/// How to say what a key says that the service manages itself, or why it is not said; `None` for all others.
fn managed(path: &str) -> Option<&'static str> {
    Some(match path {
        "replication.replSetName" => "set replica_set of the service",
        "net.port" => "set port of the service",
        "net.bindIp" | "net.bindIpAll" => "set bind of the service",
        "security.keyFile" | "security.authorization" => "set admin and keyfile of the service",
        "storage.journal.enabled" => {
            "MongoDB 6.1 and later do not start with it, and all others have a journal anyway"
        }
        _ => return None,
    })
}
