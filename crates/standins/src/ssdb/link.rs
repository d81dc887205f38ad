//! What a slave and its master say to each other: changes, in a form of our own that says what the real one says.

use super::message::Message;
use super::store::Verb;

/// A word of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing new up to this change.
    Noop(u64),
    /// A copy begins.
    CopyBegin,
    /// The copy is complete.
    CopyEnd,
    /// A change, or an item of a copy that began at a change.
    Change {
        is_copy: bool,
        seq: u64,
        verb: Verb,
        /// What is stored; of a pop the name of the queue.
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    },
    /// The changes that the slave needs are not there.
    OutOfSync,
}

impl Word {
    /// As a message.
    pub(super) fn encode(&self) -> Message {
        let number = |seq: &u64| seq.to_string().into_bytes();
        let word = |text: &str| text.as_bytes().to_vec();
        match self {
            Self::Noop(seq) => vec![word("noop"), number(seq)],
            Self::CopyBegin => vec![word("copy_begin")],
            Self::CopyEnd => vec![word("copy_end")],
            Self::Change {
                is_copy,
                seq,
                verb,
                key,
                value,
            } => {
                let kind = word(if *is_copy { "copy" } else { "sync" });
                let parts = [kind, number(seq), verb.word().to_vec(), key.clone()];
                parts.into_iter().chain(value.clone()).collect()
            }
            Self::OutOfSync => vec![word("ctrl"), word("OUT_OF_SYNC")],
        }
    }

    /// From a message; `None` where it is none of these, such as a refusal.
    pub(super) fn decode(message: &Message) -> Option<Self> {
        let (name, rest) = message.split_first()?;
        let seq = || std::str::from_utf8(rest.first()?).ok()?.parse().ok();
        Some(match (name.as_slice(), rest) {
            (b"noop", [_]) => Self::Noop(seq()?),
            (b"copy_begin", []) => Self::CopyBegin,
            (b"copy_end", []) => Self::CopyEnd,
            (b"copy" | b"sync", [_, verb, key, value @ ..]) => Self::Change {
                is_copy: name == b"copy",
                seq: seq()?,
                verb: Verb::of(verb)?,
                key: key.clone(),
                value: value.first().cloned(),
            },
            (b"ctrl", [_]) => Self::OutOfSync,
            _ => return None,
        })
    }
}
