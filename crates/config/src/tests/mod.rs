//! Diagnostics of an operator's mistakes, all at once; and the values of correct files.

mod inventory;
mod overlays;
mod pauses;
mod playbooks;
mod property;
mod secrets;

use std::fmt::Write as _;

use types::{Diagnostic, SourceId, Sources, Span};

use crate::{Findings, Inventory, Playbook, SecretRef};

/// What reading came to.
struct Read<T> {
    sources: Sources,
    value: T,
    diagnostics: Vec<Diagnostic>,
    secrets: Vec<SecretRef>,
}

impl<T> Read<T> {
    /// Everything that was said, as plain text: message, place, what is marked there, label and hint.
    fn said(&self) -> String {
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            render(&self.sources, diagnostic, &mut out);
        }
        out
    }
}

fn place(sources: &Sources, span: Span) -> String {
    let source = sources.get(span.source).expect("the source is one of ours");
    let before = source
        .text
        .get(..span.start)
        .expect("a span begins at a character of its source");
    let marked = sources.snippet(span).expect("a span lies in its source");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{}:{line}:{column} {:?}", source.name, marked)
}

fn render(sources: &Sources, diagnostic: &Diagnostic, out: &mut String) {
    writeln!(out, "{}", diagnostic.message).unwrap();
    if let Some(span) = diagnostic.span {
        writeln!(out, "  at {}", place(sources, span)).unwrap();
    }
    if !diagnostic.label.is_empty() {
        writeln!(out, "     {}", diagnostic.label).unwrap();
    }
    for (span, label) in &diagnostic.related {
        writeln!(out, "  see {}: {label}", place(sources, *span)).unwrap();
    }
    if let Some(hint) = &diagnostic.hint {
        writeln!(out, "  hint: {hint}").unwrap();
    }
}

fn read<T>(texts: &[(&str, &str)], read: impl FnOnce(&Sources, &[SourceId], &Findings) -> T) -> Read<T> {
    let mut sources = Sources::new();
    let ids: Vec<SourceId> = texts
        .iter()
        .map(|(name, text)| sources.add(*name, *text))
        .collect();
    let findings = Findings::default();
    let value = read(&sources, &ids, &findings);
    let (diagnostics, secrets) = findings.into_parts();
    Read {
        sources,
        value,
        diagnostics,
        secrets,
    }
}

/// Reads an inventory with its overlays.
fn inventory_over(texts: &[(&str, &str)]) -> Read<Inventory> {
    read(texts, |sources, ids, findings| {
        Inventory::read(sources, ids[0], &ids[1..], findings)
    })
}

fn inventory(text: &str) -> Read<Inventory> {
    inventory_over(&[("inventory.toml", text)])
}

fn playbook(text: &str) -> Read<Playbook> {
    read(&[("mine.toml", text)], |sources, ids, findings| {
        Playbook::read(sources, ids[0], findings)
    })
}
