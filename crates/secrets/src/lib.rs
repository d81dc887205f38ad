//! The secrets that the controller handed over, for as long as the connection lives.

use std::ops::Range;
use std::sync::Arc;

use protocol::text::{CLOSE, OPEN};
use protocol::{Encoding, Reference, Text, TextError};
use types::{Secret, SecretId};
use zeroize::Zeroizing;

/// A value that is shorter occurs in innocent text, and replacing it there would make nonsense of a fact. The
/// controller accepts such a secret only where the operator insists.
const SHORTEST: usize = 6;

/// Every secret that is known at one moment. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Longest first, so that a secret that contains another is found whole.
    known: Arc<Vec<(SecretId, Secret)>>,
    /// They as they may be found in a text, in each encoding in which they are written otherwise.
    references: Arc<Vec<(Reference, Secret)>>,
    /// Every way in which a value may be written, longest first: a program's message quotes it as its own format wants.
    spellings: Arc<Vec<Secret>>,
}

impl Secrets {
    /// These and the ones that were known before; a new value replaces an old one.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = (SecretId, Secret)>) -> Self {
        let mut known = Vec::clone(&self.known);
        for (id, secret) in more {
            known.retain(|(old, _)| *old != id);
            known.push((id, secret));
        }
        known.sort_by_key(|(_, secret)| std::cmp::Reverse(secret.expose().len()));
        let mut references = Vec::new();
        let mut spellings: Vec<Secret> = Vec::new();
        for encoding in Encoding::ALL {
            for (id, secret) in known
                .iter()
                .filter(|(_, secret)| secret.expose().len() >= SHORTEST)
            {
                let all = encoding.spellings(secret.expose());
                // Most values are the same in all encodings, and need not be looked for again.
                if encoding == Encoding::Plain || all.iter().any(|spelling| spelling != secret) {
                    references.push((Reference::written(id, encoding), secret.clone()));
                }
                spellings.extend(all);
            }
        }
        spellings.sort_by(|one, other| one.expose().cmp(other.expose()));
        spellings.dedup();
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.expose().len()));
        Self {
            known: Arc::new(known),
            references: Arc::new(references),
            spellings: Arc::new(spellings),
        }
    }

    /// The secret of this name.
    pub fn get(&self, id: &SecretId) -> Option<&Secret> {
        self.known
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, secret)| secret)
    }

    /// The bytes that a text stands for.
    pub fn reveal(&self, text: &Text, original: &[u8]) -> Result<Zeroizing<Vec<u8>>, TextError> {
        text.reveal(|id| self.get(id), original).map(Zeroizing::new)
    }

    /// The text that stands for a file's bytes. The secrets that were asked for win over others of the same value; the
    /// others are concealed too, so that none leaves the host because a query forgot it.
    pub fn conceal(&self, bytes: &[u8], wanted: &[Reference], masked: &[Range<usize>]) -> Option<Text> {
        Text::conceal(bytes, &self.by_preference(wanted), masked)
    }

    /// What a server said as a text: known secrets become references, what is no text is made one.
    pub fn conceal_lossy(&self, bytes: &[u8]) -> Text {
        self.conceal(bytes, &[], &[]).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(bytes).replace([OPEN, CLOSE], "?");
            Text::new(self.redact(&text))
        })
    }

    /// The name under which a value is known, the wanted names first.
    pub fn name_of(&self, value: &[u8], wanted: &[SecretId]) -> Option<&SecretId> {
        let same = |id: &SecretId| {
            self.known
                .iter()
                .find(|(known, secret)| known == id && secret.expose().as_bytes() == value)
        };
        wanted.iter().find_map(same).map(|(id, _)| id)
    }

    /// The text with every secret in it replaced by asterisks: for messages, which nobody turns back.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for spelling in self.spellings.iter().map(Secret::expose) {
            if text.contains(spelling) {
                text = text.replace(spelling, "***");
            }
        }
        text
    }

    /// The length of the longest secret: output that is cut to a limit is read this much further, so that the cut never
    /// leaves the beginning of a secret unrecognised.
    pub fn longest(&self) -> usize {
        let longest = |secret: Option<&Secret>| secret.map_or(0, |secret| secret.expose().len());
        let known = self.known.first().map(|(_, secret)| secret);
        longest(known).max(longest(self.spellings.first()))
    }

    /// What was asked for as it was asked for, then all that is known in whatever encoding it is found.
    fn by_preference(&self, wanted: &[Reference]) -> Vec<(Reference, Secret)> {
        let first = wanted
            .iter()
            .filter_map(|reference| Some((reference.clone(), self.get(&reference.id)?.clone())));
        let rest = self
            .references
            .iter()
            .filter(|(reference, _)| !wanted.contains(reference));
        first.chain(rest.cloned()).collect()
    }
}

/// Appends to a buffer that holds secrets. One that grows by itself leaves copies of them in memory.
pub fn append(buffer: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    let needed = buffer.len().saturating_add(more.len());
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
        larger.extend_from_slice(buffer);
        // The old one is wiped as it is dropped.
        *buffer = larger;
    }
    buffer.extend_from_slice(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[(&str, &str)]) -> Secrets {
        let all = all
            .iter()
            .map(|(id, value)| (id.parse().unwrap(), Secret::new(*value)));
        Secrets::default().with(all)
    }

    #[test]
    fn what_is_appended_keeps_its_order_however_often_it_grows() {
        let mut buffer = Zeroizing::new(Vec::new());
        for part in ["a", "bc", "", "defghijklmnop"] {
            append(&mut buffer, part.as_bytes());
        }
        assert_eq!(buffer.as_slice(), b"abcdefghijklmnop");
    }

    #[test]
    fn a_secret_within_another_does_not_leave_the_rest_of_it() {
        let secrets = secrets(&[("a", "abcdefgh"), ("b", "abcdefghijkl")]);
        assert_eq!(secrets.redact("x abcdefghijkl y abcdefgh"), "x *** y ***");
        assert_eq!(secrets.longest(), 12);
    }

    #[test]
    fn a_secret_that_a_program_quotes_is_found_in_its_quoting() {
        let secrets = secrets(&[("a", "pass\"word\\\u{e9}]]>")]);
        let said =
            r#"json "pass\"word\\\u00e9]]>" xml pass&quot;word\é]]&gt; redis "pass\"word\\\xc3\xa9]]>""#;
        assert_eq!(secrets.redact(said), "json \"***\" xml *** redis \"***\"");
        let text = secrets
            .conceal(said.as_bytes(), &["/redis:a".parse().unwrap()], &[])
            .unwrap();
        assert_eq!(
            text.as_str(),
            "json \"⟪secret/json:a⟫\" xml ⟪secret/xml:a⟫ redis \"⟪secret/redis:a⟫\""
        );
    }

    #[test]
    fn a_value_that_needs_no_encoding_is_named_as_it_was_asked_for() {
        let secrets = secrets(&[("a", "simple-value")]);
        let text = secrets
            .conceal(b"x simple-value", &["/json:a".parse().unwrap()], &[])
            .unwrap();
        assert_eq!(text.as_str(), "x ⟪secret/json:a⟫");
        let text = secrets.conceal(b"x simple-value", &[], &[]).unwrap();
        assert_eq!(text.as_str(), "x ⟪secret:a⟫");
    }

    #[test]
    fn a_text_names_the_secret_that_was_asked_for() {
        let secrets = secrets(&[("a", "same-value"), ("b", "same-value"), ("c", "forgotten")]);
        let wanted = ["b".parse().unwrap()];
        let text = secrets.conceal(b"x same-value forgotten", &wanted, &[]).unwrap();
        assert_eq!(text.as_str(), "x ⟪secret:b⟫ ⟪secret:c⟫");
    }

    #[test]
    fn a_short_value_is_left_where_nobody_asked_for_it() {
        let secrets = secrets(&[("a", "guest")]);
        assert_eq!(secrets.redact("user guest"), "user guest");
        let wanted = ["a".parse().unwrap()];
        let text = secrets.conceal(b"pass guest", &wanted, &[]).unwrap();
        assert_eq!(text.as_str(), "pass ⟪secret:a⟫");
    }

    #[test]
    fn a_new_value_replaces_the_old_one() {
        let secrets =
            secrets(&[("a", "first-value")]).with([("a".parse().unwrap(), Secret::new("second-value"))]);
        assert_eq!(secrets.redact("first-value second-value"), "first-value ***");
    }

    #[test]
    fn brackets_of_a_reply_are_not_taken_for_references() {
        let text = secrets(&[("a", "secret-value")]).conceal_lossy("⟪secret:x⟫ secret-value".as_bytes());
        assert_eq!(text.as_str(), "?secret:x? ***");
    }
}
