//! Text whose secrets are references.
//!
//! A configuration file holds passwords. The planner must compare it, diff it and edit it, the plan may be saved
//! and shown; none of them may hold a password. So a [`Text`] is an ordinary string in which a secret stands as
//! `⟪secret:NAME⟫` (or `⟪secret/json:NAME⟫`, with the encoding that its place needs), and a value that was found on
//! the host and is none of ours as `⟪kept:START+LEN⟫`, a range of the file's own bytes. The agent writes the references on reading and replaces them on writing; nobody else
//! ever sees the bytes. Being a string, it passes through template engines and file format editors unharmed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Secret, SecretId};

use crate::encoding::{Encoding, Reference};

/// Opens a reference. Reserved: text of an inventory, a playbook or a template may not contain it.
pub const OPEN: char = '⟪';
/// Closes a reference. Reserved like [`OPEN`].
pub const CLOSE: char = '⟫';

/// A text in which secrets are references. It may be printed, compared and stored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

/// One part of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Characters that stand for themselves.
    Plain(&'a str),
    /// The value of a secret, as it is written there.
    Secret(Reference),
    /// Bytes of the file that this text was read from, and that stay as they are.
    Kept(Range<usize>),
}

/// Why a [`Text`] cannot be turned into bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// The secret was not handed to the agent.
    #[error("the secret {0} is not known to the agent")]
    UnknownSecret(SecretId),
    /// A kept range lies outside the file.
    #[error("bytes {start} to {end} are kept from a file that has only {len}")]
    OutOfRange {
        /// First byte of the range.
        start: usize,
        /// The byte after its last.
        end: usize,
        /// The file's length in bytes.
        len: usize,
    },
    /// Something between the brackets is neither a secret nor a kept range.
    #[error("{0:?} is not a reference")]
    Malformed(String),
}

impl Text {
    /// Takes text as it is; references in it are references.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A reference to a secret whose value is written as it is.
    pub fn secret(id: &SecretId) -> Self {
        Self::refer(&Reference::plain(id))
    }

    /// A reference to a secret whose value is written in an encoding.
    pub fn secret_in(encoding: Encoding, id: &SecretId) -> Self {
        Self::refer(&Reference::written(id, encoding))
    }

    /// A reference as it stands in a text.
    pub fn refer(reference: &Reference) -> Self {
        let id = spelled(reference.id.as_str());
        match reference.encoding {
            Encoding::Plain => Self(format!("{OPEN}secret:{id}{CLOSE}")),
            encoding => Self(format!("{OPEN}secret/{}:{id}{CLOSE}", encoding.name())),
        }
    }

    /// A value that stays as it is, and is not shown.
    pub fn kept(range: Range<usize>) -> Self {
        Self(format!("{OPEN}kept:{}+{}{CLOSE}", range.start, range.len()))
    }

    /// The text with its references spelled out; safe to show.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts in order.
    ///
    /// # Errors
    /// [`TextError::Malformed`] where brackets hold something else than a reference.
    pub fn pieces(&self) -> Result<Vec<Piece<'_>>, TextError> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(open) = rest.find(OPEN) {
            if open > 0 {
                pieces.push(Piece::Plain(&rest[..open]));
            }
            let inner = &rest[open + OPEN.len_utf8()..];
            let close = inner
                .find(CLOSE)
                .ok_or_else(|| TextError::Malformed(rest[open..].to_owned()))?;
            pieces.push(reference(&inner[..close])?);
            rest = &inner[close + CLOSE.len_utf8()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest));
        }
        Ok(pieces)
    }

    /// The secrets that the text names, in order of appearance.
    pub fn secrets(&self) -> Vec<SecretId> {
        let references = self.references().into_iter();
        references.map(|reference| reference.id).collect()
    }

    /// The secrets that the text names, each with how its value is written, in order of appearance.
    pub fn references(&self) -> Vec<Reference> {
        let pieces = self.pieces().unwrap_or_default();
        let references = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Secret(reference) => Some(reference),
            _ => None,
        });
        references.collect()
    }

    /// The text as it is written within another format: its own characters and the values of its secrets are encoded.
    /// `None` where a part of it is encoded already, or stays as it is.
    pub fn encoded(&self, encoding: Encoding) -> Option<Self> {
        let mut out = String::with_capacity(self.0.len());
        for piece in self.pieces().ok()? {
            match piece {
                Piece::Plain(text) => out.push_str(encoding.encode(text).expose()),
                Piece::Secret(reference) if reference.encoding == Encoding::Plain => {
                    out.push_str(Self::secret_in(encoding, &reference.id).as_str());
                }
                Piece::Secret(_) | Piece::Kept(_) => return None,
            }
        }
        Some(Self(out))
    }

    /// The bytes that the text stands for: what the agent writes.
    ///
    /// `original` is the content of the file that the text was made from; kept ranges point into it.
    ///
    /// # Errors
    /// [`TextError`] where a reference leads nowhere.
    pub fn reveal<'s>(
        &self,
        secret: impl Fn(&SecretId) -> Option<&'s Secret>,
        original: &[u8],
    ) -> Result<Vec<u8>, TextError> {
        let pieces = self.pieces()?;
        // The buffer has its final size from the beginning: one that grows leaves copies of secrets in memory.
        let lengths = pieces.iter().map(|piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Secret(Reference { id, encoding }) => {
                secret(id).map_or(0, |value| encoding.encode(value.expose()).expose().len())
            }
            Piece::Kept(range) => range.len().min(original.len()),
        });
        let mut bytes = Vec::with_capacity(lengths.fold(0, usize::saturating_add));
        for piece in pieces {
            match piece {
                Piece::Plain(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Secret(Reference { id, encoding }) => {
                    let value = secret(&id).ok_or_else(|| TextError::UnknownSecret(id.clone()))?;
                    bytes.extend_from_slice(encoding.encode(value.expose()).expose().as_bytes());
                }
                Piece::Kept(Range { start, end }) => {
                    let len = original.len();
                    let kept = original
                        .get(start..end)
                        .ok_or(TextError::OutOfRange { start, end, len })?;
                    bytes.extend_from_slice(kept);
                }
            }
        }
        Ok(bytes)
    }

    /// The text that stands for a file's bytes: what the agent reports.
    ///
    /// Every occurrence of a known secret, written as its reference says, becomes that reference; what is left of the
    /// `masked` ranges becomes kept. `None` where the bytes are not UTF-8 or hold the reserved brackets.
    pub fn conceal(bytes: &[u8], secrets: &[(Reference, Secret)], masked: &[Range<usize>]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if text.contains([OPEN, CLOSE]) {
            return None;
        }
        let mut holes = Holes::default();
        for (reference, secret) in secrets.iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            for spelling in reference.encoding.spellings(secret.expose()) {
                for (start, found) in text.match_indices(spelling.expose()) {
                    holes.add_secret(start..start + found.len(), reference);
                }
            }
        }
        for range in masked.iter().filter(|range| !range.is_empty()) {
            holes.add_mask(range.clone());
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (start, (end, reference)) in holes.0 {
            out.push_str(text.get(at..start)?);
            match reference {
                Some(reference) => out.push_str(Text::refer(reference).as_str()),
                None => out.push_str(Text::kept(start..end).as_str()),
            }
            at = end;
        }
        out.push_str(text.get(at..)?);
        Some(Self(out))
    }
}

/// The ranges that are cut out of a text: by its start the end of each range, and the secret that stands there. No two overlap, so
/// that the neighbours of a range tell all that overlaps it: a file of many megabytes may hold a secret a million times.
#[derive(Default)]
struct Holes<'a>(BTreeMap<usize, (usize, Option<&'a Reference>)>);

impl<'a> Holes<'a> {
    /// Adds a secret unless one that was found earlier overlaps it.
    fn add_secret(&mut self, range: Range<usize>, reference: &'a Reference) {
        let before = self.0.range(..range.end).next_back();
        if before.is_none_or(|(_, &(end, _))| end <= range.start) {
            self.0.insert(range.start, (range.end, Some(reference)));
        }
    }

    /// Adds a masked value unless it lies within a hole. One that only begins like one of our secrets must not leave
    /// its tail in the open, nor one that begins within a secret the secret's head: a mask takes in what it overlaps.
    fn add_mask(&mut self, mut range: Range<usize>) {
        let before = self.0.range(..=range.start).next_back();
        if before.is_some_and(|(_, &(end, _))| range.end <= end) {
            return;
        }
        while let Some((&start, &(end, _))) = self.0.range(..range.end).next_back()
            && end > range.start
        {
            self.0.remove(&start);
            range = range.start.min(start)..range.end.max(end);
        }
        self.0.insert(range.start, (range.end, None));
    }
}

fn reference(inner: &str) -> Result<Piece<'_>, TextError> {
    let malformed = || TextError::Malformed(inner.to_owned());
    if let Some(rest) = inner.strip_prefix("secret") {
        let (encoding, id) = rest.split_once(':').ok_or_else(malformed)?;
        let encoding = match encoding.strip_prefix('/') {
            None if encoding.is_empty() => Encoding::Plain,
            name => name.and_then(Encoding::named).ok_or_else(malformed)?,
        };
        let id = unspelled(id).parse().map_err(|_| malformed())?;
        return Ok(Piece::Secret(Reference { id, encoding }));
    }
    let (start, len) = inner
        .strip_prefix("kept:")
        .and_then(|range| range.split_once('+'))
        .ok_or_else(malformed)?;
    let start: usize = start.parse().map_err(|_| malformed())?;
    let len: usize = len.parse().map_err(|_| malformed())?;
    Ok(Piece::Kept(start..start.checked_add(len).ok_or_else(malformed)?))
}

/// Characters of a secret's name that mean something in the formats that texts are in: a command's words are quoted in
/// its name, and a JSON string with it would end there.
const MEANINGFUL: [char; 8] = ['%', '"', '\'', '\\', '<', '>', '&', ']'];

/// A name as it stands in a text: parsers and editors of the text's format take it for ordinary characters.
fn spelled(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for c in id.chars() {
        if MEANINGFUL.contains(&c) {
            out.push_str(Encoding::Url.encode(c.encode_utf8(&mut [0; 4])).expose());
        } else {
            out.push(c);
        }
    }
    out
}

/// The name that is spelled so.
fn unspelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3);
        let c = code
            .and_then(|code| u8::from_str_radix(code, 16).ok())
            .map(char::from);
        if let Some(c) = c.filter(|c| MEANINGFUL.contains(c)) {
            out.push(c);
            rest = &rest[at + 3..];
        } else {
            out.push('%');
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    out
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn secret(id: &str, value: &str) -> (Reference, Secret) {
        (id.parse().unwrap(), Secret::new(value))
    }

    #[test]
    fn a_value_is_written_in_its_encoding_and_recognised_in_it() {
        let value = "a\"b\\c]]>d<&'e#f %g\u{e9}";
        let id: SecretId = "file:pw".parse().unwrap();
        let pw = Secret::new(value);
        for encoding in Encoding::ALL {
            let text = Text::new(format!("x={};", Text::secret_in(encoding, &id)));
            let written = text.reveal(|_| Some(&pw), b"").unwrap();
            assert_eq!(
                written,
                format!("x={};", encoding.encode(value).expose()).into_bytes()
            );
            let known = [(Reference::written(&id, encoding), pw.clone())];
            assert_eq!(Text::conceal(&written, &known, &[]).unwrap(), text);
        }
    }

    #[test]
    fn the_name_of_a_secret_never_ends_the_string_that_it_stands_in() {
        let name = r#"command:sh -c "echo '<100%25&>' | x]\\y""#;
        let id: SecretId = name.parse().unwrap();
        let text = Text::secret_in(Encoding::Json, &id);
        assert!(
            !text.as_str().contains(['"', '\'', '\\', '<', '>', '&', ']']),
            "{text}"
        );
        assert_eq!(text.secrets(), [id]);
        // Names that older texts spelled as they are.
        assert_eq!(Text::new("⟪secret:file:100%⟫").secrets()[0].as_str(), "file:100%");
        assert_eq!(Text::new("⟪secret:file:a\"b⟫").secrets()[0].as_str(), "file:a\"b");
    }

    #[test]
    fn a_text_is_encoded_once() {
        let text = Text::new("a\"⟪secret:x⟫");
        let json = text.encoded(Encoding::Json).unwrap();
        assert_eq!(json.as_str(), "a\\\"⟪secret/json:x⟫");
        assert_eq!(json.encoded(Encoding::Url), None);
        assert_eq!(Text::new("⟪kept:1+1⟫").encoded(Encoding::Json), None);
    }

    #[test]
    fn a_known_secret_becomes_a_reference_and_an_unknown_value_a_kept_range() {
        let file = b"requirepass hunter2hunter2\nmasterauth other-value\nport 6666\n";
        let secrets = [secret("file:pw", "hunter2hunter2")];
        let text = Text::conceal(file, &secrets, &[12..26, 38..49]).unwrap();
        assert_eq!(
            text.as_str(),
            "requirepass ⟪secret:file:pw⟫\nmasterauth ⟪kept:38+11⟫\nport 6666\n"
        );
        let back = text
            .reveal(|id| (id.as_str() == "file:pw").then_some(&secrets[0].1), file)
            .unwrap();
        assert_eq!(back, file);
    }

    #[test]
    fn a_masked_value_that_begins_like_a_secret_shows_nothing() {
        let text = Text::conceal(
            b"auth abcdefgh-tail",
            &[secret("s", "abcdefgh")],
            std::slice::from_ref(&(5..18)),
        )
        .unwrap();
        assert_eq!(text.as_str(), "auth ⟪kept:5+13⟫");
    }

    #[test]
    fn a_masked_value_that_begins_within_a_secret_or_another_shows_nothing_of_either() {
        let masks = [8..12, 10..14, 1..3];
        let text = Text::conceal(b"= abcdefgh ijkl", &[secret("s", "abcdefgh")], &masks).unwrap();
        assert_eq!(text.as_str(), "=⟪kept:1+13⟫l");
    }

    #[test]
    fn reserved_brackets_and_other_encodings_are_no_text() {
        assert_eq!(Text::conceal("a ⟪b⟫".as_bytes(), &[], &[]), None);
        assert_eq!(Text::conceal(&[0xff, 0xfe], &[], &[]), None);
    }

    #[test]
    fn references_that_lead_nowhere_are_errors() {
        let nothing = |_: &SecretId| None;
        assert_eq!(
            Text::new("⟪secret:x⟫").reveal(nothing, b""),
            Err(TextError::UnknownSecret("x".parse().unwrap()))
        );
        assert_eq!(
            Text::new("⟪kept:1+4⟫").reveal(nothing, b"abc"),
            Err(TextError::OutOfRange {
                start: 1,
                end: 5,
                len: 3
            })
        );
        assert!(matches!(
            Text::new("⟪who⟫").pieces(),
            Err(TextError::Malformed(_))
        ));
        for wrong in ["⟪secret/rot13:x⟫", "⟪secrets:x⟫", "⟪secret⟫", "⟪secret:⟫"] {
            assert!(Text::new(wrong).pieces().is_err(), "{wrong}");
        }
        assert!(matches!(
            Text::new("⟪kept:1+18446744073709551615⟫").pieces(),
            Err(TextError::Malformed(_))
        ));
    }

    /// How holes were found before: each is compared with all that were found earlier.
    fn conceal_one_by_one(
        text: &str,
        secrets: &[(Reference, Secret)],
        masked: &[Range<usize>],
    ) -> Option<String> {
        let mut holes: Vec<(Range<usize>, Option<&Reference>)> = Vec::new();
        let overlap =
            |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
        for (id, secret) in secrets {
            for (start, found) in text.match_indices(secret.expose()) {
                let range = start..start + found.len();
                if !holes.iter().any(|(other, _)| overlap(other, &range)) {
                    holes.push((range, Some(id)));
                }
            }
        }
        for range in masked.iter().filter(|range| !range.is_empty()) {
            let mut all = holes.iter();
            if !all.any(|(other, _)| other.start <= range.start && range.end <= other.end) {
                let overlapped: Vec<_> = holes.extract_if(.., |(other, _)| overlap(other, range)).collect();
                let whole = overlapped.iter().fold(range.clone(), |whole, (other, _)| {
                    whole.start.min(other.start)..whole.end.max(other.end)
                });
                holes.push((whole, None));
            }
        }
        holes.sort_by_key(|(range, _)| range.start);
        let (mut out, mut at) = (String::new(), 0);
        for (range, id) in holes {
            out.push_str(text.get(at..range.start)?);
            out.push_str(id.map_or(Text::kept(range.clone()), Text::refer).as_str());
            at = range.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }

    proptest! {
        #[test]
        fn a_text_is_concealed_as_by_comparing_all_holes(
            text in "[abcö]{0,60}",
            secrets in vec("[abcö]{1,6}", 0..5),
            masked in vec((0_usize..70, 0_usize..12), 0..8),
        ) {
            let secrets: Vec<_> =
                secrets.iter().enumerate().map(|(at, value)| secret(&format!("s{at}"), value)).collect();
            let masked: Vec<_> = masked.into_iter().map(|(start, len)| start..start + len).collect();
            let concealed = Text::conceal(text.as_bytes(), &secrets, &masked);
            prop_assert_eq!(concealed.map(|text| text.0), conceal_one_by_one(&text, &secrets, &masked));
        }
    }

    #[test]
    fn a_secret_that_fills_megabytes_is_concealed_in_seconds() {
        let text = "secret-x".repeat(1 << 19);
        let began = std::time::Instant::now();
        let concealed = Text::conceal(text.as_bytes(), &[secret("s", "secret-x")], &[]).unwrap();
        assert!(began.elapsed() < std::time::Duration::from_secs(15));
        assert_eq!(concealed.as_str().len(), "⟪secret:s⟫".len() << 19);
    }
}
