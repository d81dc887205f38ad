//! Text whose secrets are references.
//!
//! A configuration file holds passwords. The planner must compare it, diff it and edit it, the plan may be saved
//! and shown; none of them may hold a password. So a [`Text`] is an ordinary string in which a secret stands as
//! `⟪secret:NAME⟫`, and a value that was found on the host and is none of ours as `⟪kept:START+LEN⟫`, a range
//! of the file's own bytes. The agent writes the references on reading and replaces them on writing; nobody else
//! ever sees the bytes. Being a string, it passes through template engines and file format editors unharmed.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Secret, SecretId};

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
    /// The value of a secret.
    Secret(SecretId),
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

    /// A reference to a secret.
    pub fn secret(id: &SecretId) -> Self {
        Self(format!("{OPEN}secret:{id}{CLOSE}"))
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
        let pieces = self.pieces().unwrap_or_default();
        let ids = pieces.into_iter().filter_map(|piece| match piece {
            Piece::Secret(id) => Some(id),
            _ => None,
        });
        ids.collect()
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
        let mut bytes = Vec::with_capacity(self.0.len());
        for piece in self.pieces()? {
            match piece {
                Piece::Plain(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Secret(id) => {
                    let value = secret(&id).ok_or_else(|| TextError::UnknownSecret(id.clone()))?;
                    bytes.extend_from_slice(value.expose().as_bytes());
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
    /// Every occurrence of a known secret becomes its reference; what is left of the `masked` ranges becomes
    /// kept. `None` where the bytes are not UTF-8 or hold the reserved brackets.
    pub fn conceal(bytes: &[u8], secrets: &[(SecretId, Secret)], masked: &[Range<usize>]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if text.contains([OPEN, CLOSE]) {
            return None;
        }
        let mut holes: Vec<(Range<usize>, Option<&SecretId>)> = Vec::new();
        for (id, secret) in secrets.iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            for (start, found) in text.match_indices(secret.expose()) {
                add_hole(&mut holes, start..start + found.len(), Some(id));
            }
        }
        for range in masked.iter().filter(|range| !range.is_empty()) {
            add_hole(&mut holes, range.clone(), None);
        }
        holes.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (range, id) in holes {
            out.push_str(text.get(at..range.start)?);
            match id {
                Some(id) => out.push_str(Text::secret(id).as_str()),
                None => out.push_str(Text::kept(range.clone()).as_str()),
            }
            at = range.end;
        }
        out.push_str(text.get(at..)?);
        Some(Self(out))
    }
}

/// Adds a hole unless a secret that was found earlier overlaps it. A masked value that only begins like one of
/// our secrets must not leave its tail in the open, so a mask swallows the secrets that lie within a larger value.
fn add_hole<'a>(
    holes: &mut Vec<(Range<usize>, Option<&'a SecretId>)>,
    range: Range<usize>,
    id: Option<&'a SecretId>,
) {
    let overlaps = |other: &Range<usize>| other.start < range.end && range.start < other.end;
    if id.is_none() {
        if holes
            .iter()
            .any(|(other, _)| other.start <= range.start && range.end <= other.end)
        {
            return;
        }
        holes.retain(|(other, _)| !overlaps(other));
    } else if holes.iter().any(|(other, _)| overlaps(other)) {
        return;
    }
    holes.push((range, id));
}

fn reference(inner: &str) -> Result<Piece<'_>, TextError> {
    let malformed = || TextError::Malformed(inner.to_owned());
    if let Some(id) = inner.strip_prefix("secret:") {
        return Ok(Piece::Secret(id.parse().map_err(|_| malformed())?));
    }
    let (start, len) = inner
        .strip_prefix("kept:")
        .and_then(|range| range.split_once('+'))
        .ok_or_else(malformed)?;
    let start: usize = start.parse().map_err(|_| malformed())?;
    let len: usize = len.parse().map_err(|_| malformed())?;
    Ok(Piece::Kept(start..start.checked_add(len).ok_or_else(malformed)?))
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

    fn secret(id: &str, value: &str) -> (SecretId, Secret) {
        (id.parse().unwrap(), Secret::new(value))
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
        assert!(matches!(
            Text::new("⟪kept:1+18446744073709551615⟫").pieces(),
            Err(TextError::Malformed(_))
        ));
    }
}
