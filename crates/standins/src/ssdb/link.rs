//! What a slave and its master say to each other: changes, in a form of our own that says what the real one says.

use super::message::Message;

/// A word of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing new up to this change.
    Noop(u64),
    /// A copy begins.
    CopyBegin,
    /// A key of a copy that began at a change.
    Copy { seq: u64, key: Vec<u8>, value: Vec<u8> },
    /// The copy is complete; what follows comes after this change.
    CopyEnd(u64),
    /// A key was set.
    Set { seq: u64, key: Vec<u8>, value: Vec<u8> },
    /// A key was deleted.
    Delete { seq: u64, key: Vec<u8> },
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
            Self::Copy { seq, key, value } => vec![word("copy"), number(seq), key.clone(), value.clone()],
            Self::CopyEnd(seq) => vec![word("copy_end"), number(seq)],
            Self::Set { seq, key, value } => vec![word("set"), number(seq), key.clone(), value.clone()],
            Self::Delete { seq, key } => vec![word("del"), number(seq), key.clone()],
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
            (b"copy", [_, key, value]) => Self::Copy {
                seq: seq()?,
                key: key.clone(),
                value: value.clone(),
            },
            (b"copy_end", [_]) => Self::CopyEnd(seq()?),
            (b"set", [_, key, value]) => Self::Set {
                seq: seq()?,
                key: key.clone(),
                value: value.clone(),
            },
            (b"del", [_, key]) => Self::Delete {
                seq: seq()?,
                key: key.clone(),
            },
            (b"ctrl", [_]) => Self::OutOfSync,
            _ => return None,
        })
    }
}
