//! Whatever stands in a file, reading it ends, and points into it.

use proptest::prelude::*;
use types::{Diagnostic, Sources, Span};

use super::{Read, inventory_over, playbook};
use crate::value::{self, Table, Value, ValueKind};

/// Lines that look like an inventory, with something wrong now and then.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "hosts|groups|services|ssh|vars|steps|uses|id|with|kind|port|user|env|file|address|rollout",
        "[a-z]{1,4}",
        "\"[^\"\\\\\n]{0,4}\"",
        "[äé⟪☃]",
    ];
    let value = prop_oneof![
        "\"[^\"\\\\\n]{0,6}\"",
        "-?[0-9]{1,22}",
        "true|false|nan|inf|1.5|1979-05-27|0x1G|'''|\"\"\"|\"\\\\u27EA\"",
        "\\[(\"[a-zé]{0,3}\", ?){0,3}\\]",
        "\\{ [a-z]{1,4} = [0-9] \\}",
        "\\[\\[\\[|\\{\\{|\\{ env = \"X\" \\}",
        "\\PC{0,6}",
    ];
    let path = prop::collection::vec(key, 1..4).prop_map(|keys| keys.join("."));
    prop_oneof![
        4 => (path.clone(), value).prop_map(|(path, value)| format!("{path} = {value}")),
        2 => path.clone().prop_map(|path| format!("[{path}]")),
        1 => path.prop_map(|path| format!("[[{path}]]")),
        1 => "\\PC{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let ending = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (prop::collection::vec(line(), 0..12), ending).prop_map(|(lines, ending)| lines.join(ending))
}

fn check(sources: &Sources, diagnostics: &[Diagnostic]) -> Result<(), TestCaseError> {
    for diagnostic in diagnostics {
        prop_assert!(!diagnostic.message.is_empty());
        let related = diagnostic.related.iter().map(|(span, _)| *span);
        for span in diagnostic.span.into_iter().chain(related) {
            prop_assert!(
                sources.snippet(span).is_some(),
                "{:?} of {}",
                span,
                diagnostic.message
            );
        }
    }
    Ok(())
}

fn check_table(sources: &Sources, table: &Table) -> Result<(), TestCaseError> {
    let lies = |span: Span| sources.snippet(span).is_some();
    prop_assert!(lies(table.span));
    for entry in &table.entries {
        prop_assert!(lies(entry.key_span), "key {:?}", entry.key);
        check_value(sources, &entry.value)?;
    }
    Ok(())
}

fn check_value(sources: &Sources, value: &Value) -> Result<(), TestCaseError> {
    prop_assert!(sources.snippet(value.span).is_some(), "{:?}", value);
    match &value.kind {
        ValueKind::Table(table) => check_table(sources, table),
        ValueKind::Array(items) => items.iter().try_for_each(|item| check_value(sources, item)),
        _ => Ok(()),
    }
}

fn check_read<T>(read: &Read<T>) -> Result<(), TestCaseError> {
    check(&read.sources, &read.diagnostics)?;
    for secret in &read.secrets {
        prop_assert!(read.sources.snippet(secret.span).is_some());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_span_lies_in_its_source(text in text()) {
        let mut sources = Sources::new();
        let id = sources.add("inventory.toml", text);
        let (table, diagnostics) = value::parse(&sources, id);
        check(&sources, &diagnostics)?;
        check_table(&sources, &table)?;
    }

    #[test]
    fn inventories_overlays_and_playbooks_are_read_whatever_they_hold(base in text(), over in text()) {
        check_read(&inventory_over(&[("inventory.toml", &base), ("over.toml", &over)]))?;
        check_read(&playbook(&base))?;
    }

    #[test]
    fn any_characters_at_all_are_read(text in "\\PC{0,60}") {
        check_read(&inventory_over(&[("inventory.toml", &text)]))?;
    }
}

#[test]
fn what_is_nested_without_end_is_refused_and_not_followed() {
    let depth = 50_000;
    let texts = [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}", "{ a = ".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
    ];
    for text in texts {
        // On a thread of its own, so that its stack is that of a program's and not of the test's.
        let read = std::thread::spawn(move || inventory_over(&[("inventory.toml", &text)]).diagnostics.len());
        assert!(read.join().unwrap() > 0);
    }
}
