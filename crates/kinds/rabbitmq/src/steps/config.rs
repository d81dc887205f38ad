//! The step `config`: rabbitmq.conf, edited in place.
//!
//! Only the keys that the inventory names are set; every other line stays. The file is `key = value` lines
//! (<https://www.rabbitmq.com/docs/configure#config-file>); of a key that stands twice the last one counts. A broker
//! reads it when it starts and never tells what it read, so a file that is newer than the process asks for a restart.

use config::{Findings, Table, Value, ValueKind};
use plan::{Facts, Unknown};
use protocol::Text;
use protocol::facts::FileQuery;
use types::{Diagnostic, HostName, Span};

use crate::observe::view;
use crate::settings::Settings;
use formats::rabbitmq_conf::edited;
use kit::{Cx, StepPlan};
use kit::{DesiredFile, each_host};

/// Values that look like passwords do not leave the host.
const MASK: &str = r"(?i)^\s*[\w.]*(?:pass|secret|cookie)[\w.]*\s*=\s*(\S.*)$";

/// The file, where the inventory names keys of it.
pub(crate) fn query(settings: &Settings) -> Option<FileQuery> {
    let query = || FileQuery::text(&settings.config_path).masking(&[MASK]);
    (!settings.config.is_empty()).then(query)
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let Some(query) = query(settings) else {
        return StepPlan::nothing();
    };
    each_host(cx, |host| {
        let fact = cx.facts.get(host, &query)?;
        let before = fact.text().map(Text::as_str).unwrap_or_default();
        let (mode, owner, group) = match fact.meta() {
            Some(meta) => (meta.mode, meta.owner.as_str(), meta.group.as_str()),
            // As Debian's package leaves the folder's other files.
            None => (0o644, "root", "root"),
        };
        let desired = DesiredFile {
            query: &query,
            text: Text::new(edited(before, &settings.config)),
            mode,
            owner,
            group,
        };
        Ok(desired.plan(host, cx.facts)?.into_iter().collect())
    })
}

/// Whether the file was changed since a running broker read it.
pub(crate) fn is_newer(settings: &Settings, host: &HostName, facts: &Facts) -> Result<bool, Unknown> {
    let Some(query) = query(settings) else {
        return Ok(false);
    };
    let unit = view::unit(settings, host, facts)?;
    let written = facts.get(host, &query)?.meta().map(|meta| meta.modified_us);
    Ok(unit.is_active() && written.is_some_and(|written| written > unit.started_us))
}

/// Reads `config`: keys with dots, tables below tables, or both.
pub(crate) fn read(table: &Table, findings: &Findings) -> Vec<(String, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes_and_the_last_line_of_a_key_counts() {
        let text = "# limits\nchannel_max = 10\n  heartbeat=60\n# channel_max = 5\nchannel_max = 20 \n";
        let wanted = [
            ("channel_max", "20"),
            ("heartbeat", "30"),
            ("log.console", "true"),
        ];
        let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let edited = edited(text, &wanted);
        assert_eq!(
            edited,
            "# limits\nchannel_max = 10\nheartbeat = 30\n# channel_max = 5\nchannel_max = 20 \nlog.console = true\n"
        );
    }
}
