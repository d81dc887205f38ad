//! What is wrong in the operator's files, drawn as rustc draws it: all of it at once, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};
use types::{Diagnostic, Severity, Source, SourceId, Sources, Span};

use crate::text::{count, escape_controls, listed, one_line};
use crate::{Page, Paint, Screen};

/// Draws diagnostics in the order in which they come, and a last line that counts them.
pub fn render_diagnostics(sources: &Sources, diagnostics: &[Diagnostic], screen: &Screen) -> Page {
    let renderer = if screen.colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(screen.width);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[group(sources, diagnostic)]));
        out.push_str("\n\n");
    }
    out.push_str(&last_line(sources, diagnostics, screen));
    Page::drawn(&out, screen)
}

fn group<'a>(sources: &'a Sources, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let snippets = snippets(sources, diagnostic).into_iter().map(Element::from);
    let hint = diagnostic
        .hint
        .iter()
        .map(|hint| Level::HELP.message(escape_controls(hint)).into());
    level
        .primary_title(escape_controls(&diagnostic.message))
        .elements(snippets.chain(hint))
}

/// One snippet for each file: that of the mistake first, then those of the related places.
fn snippets<'a>(sources: &'a Sources, diagnostic: &'a Diagnostic) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = diagnostic
        .span
        .map(|span| (span, AnnotationKind::Primary, diagnostic.label.as_str()));
    let related = diagnostic
        .related
        .iter()
        .map(|(span, label)| (*span, AnnotationKind::Context, label.as_str()));
    let mut order: Vec<SourceId> = Vec::new();
    let mut annotations: BTreeMap<SourceId, Vec<Annotation<'a>>> = BTreeMap::new();
    for (span, kind, label) in primary.into_iter().chain(related) {
        let Some(source) = sources.get(span.source) else {
            continue;
        };
        let annotation = kind.span(within(source, span));
        let annotation = match label {
            "" => annotation,
            label => annotation.label(escape_controls(label)),
        };
        if !order.contains(&span.source) {
            order.push(span.source);
        }
        annotations.entry(span.source).or_default().push(annotation);
    }
    let snippet = |id: SourceId| {
        let source = sources.get(id)?;
        let snippet = Snippet::source(source.text.as_str()).path(one_line(&source.name));
        Some(snippet.annotations(annotations.remove(&id)?))
    };
    order.into_iter().filter_map(snippet).collect()
}

/// The span as far as it lies in the source, on whole characters: a wrong span must not end in a panic.
fn within(source: &Source, span: Span) -> Range<usize> {
    let text = source.text.as_str();
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end);
    start..end.max(start)
}

/// `error: 3 errors and 1 warning in inventory.toml and playbooks/mq.toml`.
fn last_line(sources: &Sources, diagnostics: &[Diagnostic], screen: &Screen) -> String {
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .count();
    let warnings = diagnostics.len() - errors;
    let (word, paint) = match (errors, warnings) {
        (0, 0) => return String::new(),
        (0, _) => ("warning", Paint::Warn),
        _ => ("error", Paint::Bad),
    };
    let mut counts = Vec::new();
    if errors > 0 {
        counts.push(count(errors, "error"));
    }
    if warnings > 0 {
        counts.push(count(warnings, "warning"));
    }
    let mut files: Vec<&str> = Vec::new();
    let spans = diagnostics.iter().filter_map(|diagnostic| diagnostic.span);
    for source in spans.filter_map(|span| sources.get(span.source)) {
        if !files.contains(&source.name.as_str()) {
            files.push(&source.name);
        }
    }
    let place = match files.as_slice() {
        [] => String::new(),
        files => format!(" in {}", one_line(&listed(files))),
    };
    format!("{}: {}{place}\n", screen.paint(paint, word), listed(&counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = "[hosts]\ndb1 = \"10.0.0.1\"\ndb1 = \"10.0.0.2\"\n\n[services.sessions]\nkind = \"ssdb\"\n\
                             portt = 6379\nhosts = [\"db1\", \"größe\"]\n";

    fn sources() -> (Sources, SourceId) {
        let mut sources = Sources::new();
        let id = sources.add("inventory.toml", INVENTORY);
        (sources, id)
    }

    fn span(id: SourceId, text: &str) -> Span {
        let start = INVENTORY.find(text).unwrap();
        Span::new(id, start..start + text.len())
    }

    #[test]
    fn mistakes_are_shown_with_their_place() {
        let (mut sources, id) = sources();
        let playbook = sources.add("playbooks/ssdb.toml", "[[steps]]\nuses = \"ssdb.config\"\n");
        let second = INVENTORY.rfind("db1 = ").unwrap();
        let diagnostics = [
            Diagnostic::error("the host db1 is defined twice")
                .at(Span::new(id, second..second + 3), "defined again here")
                .related(span(id, "db1"), "first defined here"),
            Diagnostic::error("unknown key \"portt\"")
                .at(span(id, "portt"), "not a setting of ssdb")
                .hint("did you mean \"port\"?"),
            Diagnostic::error("\"größe\" is not a host name")
                .at(span(id, "\"größe\""), "")
                .related(Span::new(playbook, 17..30), "used by this step"),
            Diagnostic::warning("the secrets file is readable for all").hint("chmod 600 secrets.toml"),
        ];
        insta::assert_snapshot!(render_diagnostics(&sources, &diagnostics, &Screen::plain()));
    }

    #[test]
    fn wrong_spans_are_no_reason_to_panic() {
        let (sources, id) = sources();
        let mut others = sources.clone();
        let stranger = others.add("other.toml", "");
        let inside = INVENTORY.find('ö').unwrap() + 1;
        for (source, range) in [
            (id, 9_000..9_999),
            (id, inside..inside),
            (id, INVENTORY.len()..INVENTORY.len()),
            (id, 0..INVENTORY.len()),
            (stranger, 0..1),
        ] {
            let (start, end) = (range.start, range.end);
            let span = Span { source, start, end };
            let text = render_diagnostics(
                &sources,
                &[Diagnostic::error("x").at(span, "y")],
                &Screen::plain(),
            );
            assert!(text.starts_with("error: x"), "{text}");
        }
        let in_empty = Diagnostic::error("x").at(Span::new(stranger, 0..0), "y");
        let empty = render_diagnostics(&others, &[in_empty], &Screen::plain());
        assert!(empty.contains("other.toml"), "{empty}");
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(render_diagnostics(&Sources::new(), &[], &Screen::plain()), "");
    }
}
