//! A server that does not answer: whether nobody listens, nothing comes, or somebody else is there.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Why a server did not answer. It says nothing of whether its process runs: systemd tells that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// What is known of the server that should have answered.
    pub kind: SilenceKind,
    /// In words, e.g. `connection refused`.
    pub words: String,
}

/// What a silence tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SilenceKind {
    /// Nobody listens at that address.
    Refused,
    /// Somebody listens, and closes the connection or says something that is no answer: another protocol, TLS perhaps.
    Foreign,
    /// Nothing came in time, or there is no way to the address: nothing is known.
    NoAnswer,
}

impl Silence {
    /// Nobody listens.
    pub fn refused() -> Self {
        Self {
            kind: SilenceKind::Refused,
            words: REFUSED.to_owned(),
        }
    }

    /// Somebody listens, and this is why it is no answer.
    pub fn foreign(words: impl Into<String>) -> Self {
        Self {
            kind: SilenceKind::Foreign,
            words: words.into(),
        }
    }

    /// Nothing came, and why.
    pub fn no_answer(words: impl Into<String>) -> Self {
        Self {
            kind: SilenceKind::NoAnswer,
            words: words.into(),
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// How the system puts it.
const REFUSED: &str = "connection refused";

/// Plans that were saved before silence had a kind hold the words alone.
impl<'de> Deserialize<'de> for Silence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Typed {
            kind: SilenceKind,
            words: String,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Saved {
            Typed(Typed),
            Words(String),
        }
        // The wire does not tell one type from another, and both of its ends are of one build.
        let saved = if deserializer.is_human_readable() {
            Saved::deserialize(deserializer)?
        } else {
            Saved::Typed(Typed::deserialize(deserializer)?)
        };
        Ok(match saved {
            Saved::Typed(Typed { kind, words }) => Self { kind, words },
            Saved::Words(words) if words == REFUSED => Self::refused(),
            Saved::Words(words) => Self::no_answer(words),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_read_as_it_is_written_and_as_plans_were_saved_before_it_had_a_kind() {
        for silence in [
            Silence::refused(),
            Silence::foreign("it closed the connection"),
            Silence::no_answer("timed out"),
        ] {
            let json = serde_json::to_string(&silence).unwrap();
            assert_eq!(serde_json::from_str::<Silence>(&json).unwrap(), silence);
            let bytes = postcard::to_allocvec(&silence).unwrap();
            assert_eq!(postcard::from_bytes::<Silence>(&bytes).unwrap(), silence);
        }
        let read = |text: &str| serde_json::from_str::<Silence>(text).unwrap();
        assert_eq!(read(r#""connection refused""#), Silence::refused());
        assert_eq!(read(r#""timed out""#), Silence::no_answer("timed out"));
    }
}
