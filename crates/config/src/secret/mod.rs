//! References to secrets, and what a secret must be like.
//!
//! An inventory is committed, mailed and pasted into tickets, so it names where a secret is kept and never what it
//! is. This module reads references and judges values; fetching them is the binary's work, for it needs files,
//! the environment and processes.

mod rule;

use types::{Diagnostic, SecretId, Span};

use crate::value::{Entry, Table, ValueKind};

pub use rule::{SecretRule, Takes};

/// A secret that the settings name.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretRef {
    /// Its name, made of its source: `file:secrets/rabbitmq.cookie`.
    pub id: SecretId,
    /// Where it is kept.
    pub source: SecretSource,
    /// Where it is named.
    pub span: Span,
    /// What it must be like.
    pub rule: SecretRule,
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of the controller.
    Env(String),
    /// A file on the controller; a relative path is relative to the inventory. One newline at its end is dropped.
    File(String),
    /// What a command prints, less one newline at its end.
    Command(Vec<String>),
    /// A file encrypted with age(1), decrypted by the `age` command with the operator's identities.
    Age(String),
}

/// Fewest characters with `allow_weak_secrets`: shorter ones would be found by chance in other text, and hidden there.
const SHORTEST: usize = 8;

/// The runbook's own examples, which everybody who has read it knows.
const SAMPLES: [&str; 2] = ["abcdefghijklmnopqrstuvwxyzABCDEF", "ABCDEFGHIJKLMN"];

/// Whether a table is a reference to a secret. One whose only key is a source's name may also be a table of references
/// under names that the operator chose: `{ env = { file = "secrets/env" } }`.
pub(crate) fn is_reference(table: &Table) -> bool {
    let [entry] = table.entries.as_slice() else {
        return false;
    };
    matches!(
        (entry.key.as_str(), &entry.value.kind),
        ("env" | "file" | "age", ValueKind::String(_)) | ("command", ValueKind::Array(_))
    )
}

/// Reads a reference.
pub(crate) fn read(entry: &Entry, rule: SecretRule) -> Result<SecretRef, Box<Diagnostic>> {
    let span = entry.value.span;
    let table = match &entry.value.kind {
        ValueKind::Table(table) => table,
        ValueKind::String(_) => {
            return Err(Box::new(
                Diagnostic::error(format!("{} is written out", entry.key))
                    .at(span, "a secret must not stand in the inventory")
                    .hint(format!(
                        "keep it in a file and write {} = {{ file = \"secrets/NAME\" }}; `clusterctl secrets init` \
                         makes the file. Change this secret if the inventory was ever shared",
                        entry.key
                    )),
            ));
        }
        other => return Err(not_a_reference(entry, other.describe())),
    };
    let [source] = table.entries.as_slice() else {
        return Err(not_a_reference(entry, "a table without exactly one key"));
    };
    let source = match (source.key.as_str(), &source.value.kind) {
        ("env", ValueKind::String(name)) => SecretSource::Env(name.clone()),
        ("file", ValueKind::String(path)) => SecretSource::File(path.clone()),
        ("age", ValueKind::String(path)) => SecretSource::Age(path.clone()),
        ("command", ValueKind::Array(items)) if !items.is_empty() => {
            let words = items.iter().map(|item| match &item.kind {
                ValueKind::String(word) => Some(word.clone()),
                _ => None,
            });
            let words: Option<Vec<String>> = words.collect();
            SecretSource::Command(
                words.ok_or_else(|| not_a_reference(entry, "a command of something else than strings"))?,
            )
        }
        _ => return Err(not_a_reference(entry, "something else")),
    };
    if source.is_empty() {
        return Err(not_a_reference(entry, "a reference to nothing"));
    }
    let id = source
        .id()
        .map_err(|_| not_a_reference(entry, "an unprintable name"))?;
    Ok(SecretRef {
        id,
        source,
        span,
        rule,
    })
}

fn not_a_reference(entry: &Entry, found: &str) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error(format!("invalid value for {}", entry.key)).at(entry.value.span, format!("expected a reference to a secret, found {found}")).hint(
            "{ env = \"X\" }, { file = \"path\" }, { command = [\"pass\", \"show\", \"x\"] } or { age = \"path.age\" }",
        ),
    )
}

impl SecretSource {
    /// Whether it names nothing.
    fn is_empty(&self) -> bool {
        match self {
            Self::Env(name) | Self::File(name) | Self::Age(name) => name.trim().is_empty(),
            Self::Command(words) => words.first().is_none_or(|program| program.trim().is_empty()),
        }
    }

    /// The secret's name: its source in one line. Two sources never have the same: words of a command that do not
    /// stand for themselves are quoted.
    fn id(&self) -> Result<SecretId, types::NameError> {
        match self {
            Self::Env(name) => format!("env:{name}").parse(),
            Self::File(path) => format!("file:{path}").parse(),
            Self::Age(path) => format!("age:{path}").parse(),
            Self::Command(words) => {
                let is_plain = |word: &str| !word.is_empty() && !word.contains([' ', '"', '\\']);
                let words = words.iter().map(|word| {
                    if is_plain(word) {
                        word.clone()
                    } else {
                        format!("{word:?}")
                    }
                });
                format!("command:{}", words.collect::<Vec<_>>().join(" ")).parse()
            }
        }
    }
}

impl SecretRef {
    /// Judges the value: the weakness that stops the work, or `None`.
    ///
    /// `allow_weak` lets the runbook's samples and short values pass, for labs and demonstrations.
    pub fn check(&self, value: &str, allow_weak: bool) -> Option<Diagnostic> {
        let weak = |label: &str| {
            Diagnostic::error(format!("the secret {} is too weak", self.id)).at(self.span, label.to_owned())
        };
        let unfit = |label: String| {
            Diagnostic::error(format!("the secret {} cannot be used here", self.id))
                .at(self.span, label)
                .hint("change it where it is kept; `clusterctl secrets init` makes letters and digits, which fit everywhere")
        };
        let len = value.chars().count();
        if let Some(why) = self.rule.takes.refuses(value) {
            return Some(unfit(why));
        }
        if value.len() > self.rule.max_len {
            return Some(unfit(format!(
                "it has {} bytes, and may have {} at most",
                value.len(),
                self.rule.max_len
            )));
        }
        if allow_weak {
            return (len < SHORTEST).then(|| {
                weak(&format!(
                    "it has {len} characters, and even a weak one needs {SHORTEST}"
                ))
            });
        }
        let label = if SAMPLES.contains(&value) {
            "it is the runbook's own example, which everybody knows".to_owned()
        } else if len < self.rule.min_len {
            format!("it has {len} characters, and needs {}", self.rule.min_len)
        } else {
            return None;
        };
        Some(weak(&label).hint(
            "make a new one with `clusterctl secrets init`, or set allow_weak_secrets = true for a lab",
        ))
    }
}
