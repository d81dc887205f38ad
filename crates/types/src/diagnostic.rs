//! Mistakes in a file that a person wrote, with their places: data only.
//!
//! Reading an inventory finds many errors at once. Each becomes a [`Diagnostic`] that points into a [`Source`] by
//! byte range; the code that finds it knows nothing of lines, columns or colours. `report` draws them in rustc's manner.

use std::ops::Range;

/// A text that diagnostics point into, as the operator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as it is shown: what the operator typed.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// The number of a [`Source`] within its [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(usize);

/// The texts that were read, each under a number that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources(Vec<Source>);

/// A byte range of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// The first byte.
    pub start: usize,
    /// The byte after the last; equal to `start` for a place between two characters.
    pub end: usize,
}

/// Whether the work can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The program can go on, and the operator should check this.
    Warning,
    /// The program cannot go on.
    Error,
}

/// One thing that is wrong with what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the work can go on.
    pub severity: Severity,
    /// The mistake in one line: `unknown key "portt"`.
    pub message: String,
    /// Where; `None` where it is about no place, such as a file that cannot be read.
    pub span: Option<Span>,
    /// What stands at the caret: `not a setting of ssdb`. May be empty.
    pub label: String,
    /// What the operator can do: `did you mean "port"?`.
    pub hint: Option<String>,
    /// Other places that explain it, each with its label: `first defined here`.
    pub related: Vec<(Span, String)>,
}

impl Sources {
    /// No texts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text in and gives it a number.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
        });
        SourceId(self.0.len() - 1)
    }

    /// The text of that number; `None` where the number comes from other [`Sources`].
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.0.get(id.0)
    }

    /// All of them, in the order in which they were read.
    pub fn all(&self) -> &[Source] {
        &self.0
    }

    /// What a span covers; `None` where it does not lie in its source or cuts a character.
    pub fn snippet(&self, span: Span) -> Option<&str> {
        self.get(span.source)?.text.get(span.range())
    }
}

impl Span {
    /// The bytes of a source in that range, as `toml::Spanned::span` gives it.
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        Self {
            source,
            start: range.start,
            end: range.end,
        }
    }

    /// The bytes as a range.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl Diagnostic {
    /// Something that stops the work.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: String::new(),
            hint: None,
            related: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Points at a place, and says there what is the matter.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.span = Some(span);
        self.label = label.into();
        self
    }

    /// Says what the operator can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at another place that explains it.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Whether it stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_finds_its_text_and_a_wrong_one_finds_nothing() {
        let mut sources = Sources::new();
        let id = sources.add("inventory.toml", "port = \"ä\"\n");
        assert_eq!(sources.snippet(Span::new(id, 0..4)), Some("port"));
        assert_eq!(sources.snippet(Span::new(id, 8..9)), None);
        assert_eq!(sources.snippet(Span::new(id, 8..99)), None);
    }

    #[test]
    fn a_diagnostic_is_built_in_one_expression() {
        let mut sources = Sources::new();
        let id = sources.add("inventory.toml", "portt = 1");
        let diagnostic = Diagnostic::error("unknown key \"portt\"")
            .at(Span::new(id, 0..5), "not a setting of ssdb")
            .hint("did you mean \"port\"?");
        assert!(diagnostic.is_error());
        assert_eq!(sources.snippet(diagnostic.span.unwrap()), Some("portt"));
    }
}
