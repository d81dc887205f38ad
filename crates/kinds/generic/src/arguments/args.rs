//! The arguments of a step on one host: read, rendered and checked.

use std::collections::BTreeMap;

use config::{Reader, SecretRule};
use types::{Diagnostic, HostName, SecretId, Span};

use super::build_cx::BuildCx;
use super::template::{self, Place, Vars};

/// The suffixes of names of units.
const SUFFIXES: [&str; 7] = [
    ".service", ".socket", ".target", ".timer", ".path", ".mount", ".slice",
];

/// Reads arguments for one host.
pub(crate) struct Args<'a> {
    reader: &'a Reader<'a>,
    pub(crate) host: &'a HostName,
    pub(crate) cx: &'a BuildCx<'a>,
    vars: Vars,
}

/// A rendered string, and where it was written.
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl<'a> Args<'a> {
    pub(crate) fn new(reader: &'a Reader<'a>, host: &'a HostName, cx: &'a BuildCx<'a>) -> Self {
        let vars = template::vars(host, cx);
        Self {
            reader,
            host,
            cx,
            vars,
        }
    }

    /// The reader, for arguments that are no templates.
    pub(crate) fn reader(&self) -> &Reader<'a> {
        self.reader
    }

    /// Reports an error at a place.
    pub(crate) fn report(&self, diagnostic: Diagnostic) {
        self.reader.findings().report(diagnostic);
    }

    /// A string that holds no secret, such as a path or a name.
    pub(crate) fn word(&self, key: &'static str) -> Option<Word> {
        let text = self.reader.string(key)?;
        let span = self.reader.value(key)?.span;
        self.plain(text, span)
    }

    /// The same, with a word for why it is needed.
    pub(crate) fn required(&self, key: &'static str, why: &str) -> Option<Word> {
        self.reader.required(key, self.word(key), why)
    }

    /// An array of strings that hold no secret.
    pub(crate) fn words(&self, key: &'static str) -> Option<Vec<Word>> {
        let items = self.reader.strings(key)?;
        let words = items.into_iter().map(|(text, span)| self.plain(text, span));
        // Collected twice: every wrong one is reported.
        words.collect::<Vec<Option<Word>>>().into_iter().collect()
    }

    fn plain(&self, text: &str, span: Span) -> Option<Word> {
        let text = self.render(text, Place::Argument(span), None)?;
        if text.contains([protocol::text::OPEN, protocol::text::CLOSE]) {
            self.report(
                Diagnostic::error("a secret is used outside of a file's content")
                    .at(span, "this may be seen by everybody on the host")
                    .hint("secrets belong into the content of a file, or to the standard input of a command"),
            );
            return None;
        }
        Some(Word { text, span })
    }

    /// Text that may hold the secrets.
    pub(crate) fn render(
        &self,
        text: &str,
        place: Place,
        secrets: Option<&BTreeMap<String, SecretId>>,
    ) -> Option<String> {
        match template::render(text, &self.vars, secrets, place) {
            Ok(text) => match template::in_two_encodings(&text) {
                None => Some(text),
                // A value that needs no encoding could not be told from itself in another one.
                Some(id) => {
                    let error = Diagnostic::error(format!("the secret {id} is written in two encodings"));
                    self.report(error.at(place.whole(), "one encoding for each secret in a text").hint(
                        "give it the same filter everywhere, or name a second secret with a value of its own",
                    ));
                    None
                }
            },
            Err(diagnostic) => {
                self.report(*diagnostic);
                None
            }
        }
    }

    /// Text of an argument that may hold the secrets.
    pub(crate) fn text(&self, key: &'static str, secrets: &BTreeMap<String, SecretId>) -> Option<Word> {
        let text = self.reader.string(key)?;
        let span = self.reader.value(key)?.span;
        let text = self.render(text, Place::Argument(span), Some(secrets))?;
        Some(Word { text, span })
    }

    /// An absolute path.
    pub(crate) fn path(&self, key: &'static str, why: &str) -> Option<String> {
        self.required(key, why).and_then(|path| self.absolute(path))
    }

    /// The text of a path if it is absolute and has no detours.
    pub(crate) fn absolute(&self, path: Word) -> Option<String> {
        let rule = if !path.text.starts_with('/') {
            "a path is absolute: it begins with /"
        } else if path.text.ends_with('/') || path.text.contains("//") {
            "a path has no empty parts"
        } else if path.text.split('/').any(|part| part == "." || part == "..") {
            "a path has no . and no .. in it"
        } else if path.text.chars().any(char::is_control) {
            "a path has no control characters"
        } else {
            return Some(path.text);
        };
        self.report(Diagnostic::error(format!("{:?} is not a path", path.text)).at(path.span, rule));
        None
    }

    /// Permission bits, written as in chmod(1).
    pub(crate) fn mode(&self, key: &'static str) -> Option<u32> {
        let mode = self.word(key)?;
        let digits = (3..=4).contains(&mode.text.len()) && mode.text.chars().all(|c| c.is_digit(8));
        let bits = u32::from_str_radix(&mode.text, 8).ok().filter(|_| digits);
        if bits.is_none() {
            let message = format!("{:?} is not a mode", mode.text);
            self.report(
                Diagnostic::error(message)
                    .at(mode.span, "expected three or four octal digits, such as \"0644\""),
            );
        }
        bits
    }

    /// The name of a user or group; by default root.
    pub(crate) fn account(&self, key: &'static str) -> Option<String> {
        if self.reader.value(key).is_none() {
            return Some("root".to_owned());
        }
        let name = self.word(key)?;
        let rule = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
        if name.text.is_empty() || name.text.starts_with('-') || !name.text.chars().all(rule) {
            let message = format!("{:?} is not a name of an account", name.text);
            self.report(Diagnostic::error(message).at(name.span, "letters, digits, `.`, `_`, `-`"));
            return None;
        }
        Some(name.text)
    }

    /// The secrets that a step names, for `{{ secrets.NAME }}`.
    pub(crate) fn secrets(&self) -> BTreeMap<String, SecretId> {
        let mut secrets = BTreeMap::new();
        for (entry, id) in self.reader.secrets("secrets", SecretRule::PASSWORD) {
            let rule = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if entry.key.starts_with(|c: char| c.is_ascii_digit()) || !entry.key.chars().all(rule) {
                let message = format!("{:?} is not the name of a variable", entry.key);
                self.report(
                    Diagnostic::error(message)
                        .at(entry.key_span, "letters, digits and `_`, and no digit first"),
                );
            }
            secrets.insert(entry.key.clone(), id);
        }
        // A wrong one was reported already, and is not reported again where it is used.
        let named = self
            .reader
            .table("secrets")
            .map_or(&[][..], |table| &table.entries);
        for entry in named {
            if let (false, Ok(id)) = (secrets.contains_key(&entry.key), "unread".parse()) {
                secrets.insert(entry.key.clone(), id);
            }
        }
        secrets
    }

    /// A time limit in milliseconds.
    pub(crate) fn limit(&self, default_ms: u64) -> u64 {
        self.reader
            .seconds("limit")
            .map_or(default_ms, |seconds| seconds * 1000)
    }

    /// The name of a systemd unit; one without a suffix is a service.
    pub(crate) fn unit(&self, name: Word) -> Option<String> {
        let rule = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if name.text.is_empty() || name.text.starts_with('-') || !name.text.chars().all(rule) {
            let message = format!("{:?} is not a unit's name", name.text);
            self.report(Diagnostic::error(message).at(name.span, "such as \"nginx\" or \"backup.timer\""));
            return None;
        }
        let complete = SUFFIXES.iter().any(|suffix| name.text.ends_with(suffix));
        Some(if complete {
            name.text
        } else {
            format!("{}.service", name.text)
        })
    }
}
