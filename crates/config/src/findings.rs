//! What reading finds: errors, warnings and the secrets that are needed.

use std::cell::RefCell;

use types::{Diagnostic, NameError, Span};

use crate::secret::SecretRef;
use crate::value::ValueKind;

/// What reading has found so far: errors and warnings, and the secrets that the settings name.
#[derive(Debug, Default)]
pub struct Findings {
    diagnostics: RefCell<Vec<Diagnostic>>,
    secrets: RefCell<Vec<SecretRef>>,
}

impl Findings {
    /// Reports something; once, though it be found again, as what is wrong with a playbook is for each service of its
    /// kind.
    pub fn report(&self, diagnostic: Diagnostic) {
        let mut diagnostics = self.diagnostics.borrow_mut();
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }

    /// Notes a secret that is needed.
    pub fn need(&self, secret: SecretRef) {
        self.secrets.borrow_mut().push(secret);
    }

    /// Whether anything found so far stops the work.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.borrow().iter().any(Diagnostic::is_error)
    }

    /// All that was found: diagnostics, and secrets in the order in which they were read.
    pub fn into_parts(self) -> (Vec<Diagnostic>, Vec<SecretRef>) {
        (self.diagnostics.into_inner(), self.secrets.into_inner())
    }
}

/// A report of a value of another type than expected.
pub fn wrong_value(what: &str, span: Span, expected: &str, found: &ValueKind) -> Diagnostic {
    Diagnostic::error(format!("invalid value for {what}"))
        .at(span, format!("expected {expected}, found {}", found.describe()))
}

/// A report of a string that is not the name that it should be.
pub fn bad_name(span: Span, error: &NameError) -> Diagnostic {
    Diagnostic::error(format!("{:?} is not a {}", error.text, error.what)).at(span, error.rule)
}

/// Adds "did you mean" where one of the candidates is near enough to be what was meant.
#[must_use]
pub fn with_suggestion<'c>(
    diagnostic: Diagnostic,
    found: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Diagnostic {
    let nearest = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(found, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((_, candidate)) => diagnostic.hint(format!("did you mean {candidate:?}?")),
        None => diagnostic,
    }
}
