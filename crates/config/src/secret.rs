//! References to secrets, and what a secret must be like.
//!
//! An inventory is committed, mailed and pasted into tickets, so it names where a secret is kept and never what it
//! is. This module reads references and judges values; fetching them is the binary's work, for it needs files,
//! the environment and processes.

use types::{Diagnostic, SecretId, Span};

use crate::value::{Entry, Table, ValueKind};

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

/// What a secret must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRule {
    /// Fewest characters.
    pub min_len: usize,
    /// Most bytes.
    pub max_len: usize,
    /// The characters that it may be made of.
    pub takes: Takes,
}

/// The characters that a place for a secret takes. What a place cannot express is refused before anything is done: a
/// password that a server reads otherwise than the clients say it locks everybody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One line of characters that can be printed.
    Printable,
    /// The same without blanks at its ends, for readers that trim what they read.
    Trimmed,
    /// Printable ASCII characters without blanks at its ends, for readers that trim and decode by their locale.
    TrimmedAscii,
    /// Printable ASCII characters.
    Ascii,
    /// Printable ASCII characters but blanks, quotes and the backslash, for one word of a format without quoting.
    Word,
    /// Characters of base64.
    Base64,
    /// ASCII letters and digits.
    Alphanumeric,
}

impl Takes {
    /// Why a value is not taken, with the character that it may not have; `None` where it is taken.
    fn refuses(self, value: &str) -> Option<String> {
        let (is_fit, what): (fn(char) -> bool, _) = match self {
            Self::Printable | Self::Trimmed => (|_| true, ""),
            Self::TrimmedAscii | Self::Ascii => {
                (|c| c.is_ascii_graphic() || c == ' ', "printable ASCII characters")
            }
            Self::Word => (
                |c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\'),
                "printable ASCII characters other than blanks, quotes and backslashes",
            ),
            Self::Base64 => (
                |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='),
                "characters of base64",
            ),
            Self::Alphanumeric => (|c| c.is_ascii_alphanumeric(), "letters and digits"),
        };
        if let Some(c) = value.chars().find(|&c| is_unprintable(c)) {
            return Some(format!(
                "it has {}, and must be one line of printable characters",
                shown(c)
            ));
        }
        if let Some(c) = value.chars().find(|&c| !is_fit(c)) {
            return Some(format!("it has {}, and may have {what} only", shown(c)));
        }
        let is_trimmed = matches!(self, Self::Trimmed | Self::TrimmedAscii);
        if is_trimmed && value.trim() != value {
            return Some("it has a blank at its beginning or end, which the server ignores".to_owned());
        }
        None
    }
}

/// Control characters, characters that Unicode or XML has none for, and the brackets of references.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' | '⟪' | '⟫'
        )
}

/// A character as it can be told.
fn shown(c: char) -> String {
    match c {
        '\n' | '\r' => "an end of line".to_owned(),
        '\0' => "a NUL character".to_owned(),
        '\t' => "a tab".to_owned(),
        ' ' => "a blank".to_owned(),
        c if is_unprintable(c) || !c.is_ascii() => format!("the character U+{:04X}", u32::from(c)),
        c => format!("the character {c}"),
    }
}

impl SecretRule {
    /// A password that goes to its server as it is: at least 32 characters, as the runbook asks.
    pub const PASSWORD: Self = Self {
        min_len: 32,
        max_len: 1024,
        takes: Takes::Printable,
    };
    /// An Erlang cookie: an atom that goes into a file as it is, so letters and digits, and at least 32 of them.
    pub const COOKIE: Self = Self {
        max_len: 255,
        ..Self::PASSWORD.of(Takes::Alphanumeric)
    };

    /// The same for a place that takes these characters only.
    #[must_use]
    pub const fn of(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// The same for a place that takes no more than so many bytes.
    #[must_use]
    pub const fn at_most(self, max_len: usize) -> Self {
        Self { max_len, ..self }
    }
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
        Diagnostic::error(format!("{} is {found}", entry.key)).at(entry.value.span, "expected a reference to a secret").hint(
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
