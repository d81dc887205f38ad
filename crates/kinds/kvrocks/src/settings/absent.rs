//! Directives that the inventory takes out of the file.

use config::{Findings, Reader};
use types::{Diagnostic, Span};

use super::defaults::default_of;
use super::directives::{cannot_be_compared, is_name, managed};
use super::secret_names::can_hold_secret;
use super::{Absent, Directive};
use formats::engine::Engine;

pub(super) fn read(
    reader: &Reader<'_>,
    engine: Engine,
    set: &[Directive],
    findings: &Findings,
) -> Vec<Absent> {
    let keys = reader.strings("absent").unwrap_or_default();
    let keys = keys.into_iter().filter_map(|(key, span)| {
        let key = key.to_ascii_lowercase();
        let default = default_of(engine, &key);
        let Some((label, hint)) = unfit(&key, engine, set, default) else {
            return Some(Absent { key, default });
        };
        report(&key, span, label, hint, findings);
        None
    });
    keys.collect()
}

fn report(key: &str, span: Span, label: &str, hint: &str, findings: &Findings) {
    let diagnostic = Diagnostic::error(format!("{key:?} cannot be absent"));
    findings.report(diagnostic.at(span, label).hint(hint));
}

/// Why a directive cannot be absent, and what to do instead.
fn unfit(
    key: &str,
    engine: Engine,
    set: &[Directive],
    default: Option<&str>,
) -> Option<(&'static str, &'static str)> {
    let is_set = set
        .iter()
        .any(|directive| engine.is_same_directive(&directive.key, key));
    let by_hand = "take its lines out of the file by hand";
    if let Some(instead) = managed(key, engine) {
        return Some(("managed by the service itself", instead));
    }
    if !is_name(key) {
        return Some(("not the name of a directive", "one word"));
    }
    if is_set {
        return Some(("directives sets it", "leave one of the two"));
    }
    if let Some(why) = needed(key) {
        return Some((why, "leave it where it is"));
    }
    if can_hold_secret(key) {
        return Some(("it can hold a secret, and is not compared", by_hand));
    }
    if cannot_be_compared(key, engine) {
        return Some(("it cannot be compared with the running server", by_hand));
    }
    if engine == Engine::Kvrocks && default.is_none() {
        let why = "its default is not known here, and CONFIG REWRITE of Kvrocks writes every directive";
        return Some((why, "give it the default in directives"));
    }
    None
}

/// Why the engine or its unit needs a directive.
fn needed(key: &str) -> Option<&'static str> {
    match key {
        "dir" | "dbfilename" | "appendfilename" | "appenddirname" | "db-name" => {
            Some("without it the engine looks elsewhere for its data")
        }
        "daemonize" | "supervised" | "pidfile" => Some("the unit counts on it"),
        _ => None,
    }
}
