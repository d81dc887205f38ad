//! What one side may make the other hold: how deep a message nests, and how much memory it takes.
//!
//! A host is not trusted, and what a server answers to the agent is not either. A value that nests without a bound
//! overflows the stack of the thread that decodes, compares, prints or drops it; a frame of one-byte elements takes a hundred
//! times its own length once it is decoded. So nesting and memory are counted while a message is decoded ([`read`]),
//! and in the same way before one is sent ([`measure`]). The count is made around serde's traits and not in the types,
//! so that it holds for a new type without being thought of.

mod measure;
mod read;

use std::cell::Cell;

use thiserror::Error;

use crate::{Fact, FactError};

pub use measure::measure;
pub use read::read;

/// How deep a value may nest: lists within lists. No server answers a question of ours with more than a dozen.
pub const DEPTH: usize = 64;

/// The lists of a message around its values: answers, replies, commands, their fields.
const AROUND: usize = 4;

/// What a value may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many lists may stand within one another.
    pub levels: usize,
    /// How many bytes it may take in memory.
    pub bytes: usize,
}

impl Limits {
    /// An answer to one query: room for the records of ten thousand queues.
    pub const ANSWER: Self = Self::message(128 << 20);

    /// A value within a message, and the lists around it.
    pub(crate) const fn message(bytes: usize) -> Self {
        Self {
            levels: DEPTH + AROUND,
            bytes,
        }
    }
}

/// A value that is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Exceeded {
    /// It nests too deep.
    #[error("it nests deeper than {DEPTH} levels")]
    Depth,
    /// It takes too much memory, or is too long.
    #[error("it takes more than {} MiB", .0 >> 20)]
    Size(usize),
}

/// What is left of the limits while a value is walked through.
struct Budget {
    limits: Limits,
    levels: Cell<usize>,
    bytes: Cell<usize>,
    exceeded: Cell<Option<Exceeded>>,
}

impl Budget {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            levels: Cell::new(limits.levels),
            bytes: Cell::new(limits.bytes),
            exceeded: Cell::new(None),
        }
    }

    /// Enters a list.
    fn enter(&self) -> Result<(), Exceeded> {
        let left = self.levels.get().checked_sub(1);
        self.levels.set(left.ok_or_else(|| self.end(Exceeded::Depth))?);
        Ok(())
    }

    /// Leaves it.
    fn leave(&self) {
        self.levels.set(self.levels.get() + 1);
    }

    fn take(&self, bytes: usize) -> Result<(), Exceeded> {
        let left = self.bytes.get().checked_sub(bytes);
        let exceeded = || self.end(Exceeded::Size(self.limits.bytes));
        self.bytes.set(left.ok_or_else(exceeded)?);
        Ok(())
    }

    /// An element of a list. A list that grows holds up to twice its elements; one of no size counts too, or a few bytes
    /// would keep the decoder busy for ever.
    fn element(&self, size: usize) -> Result<(), Exceeded> {
        self.take(2 * size.max(1))
    }

    fn end(&self, exceeded: Exceeded) -> Exceeded {
        self.exceeded.set(Some(exceeded));
        exceeded
    }
}

/// Replaces the answers that are too large or too deep by errors, so that the others arrive: in a frame of this length
/// and with this much memory for all of them.
pub fn fit(answers: &mut [Result<Fact, FactError>], frame: usize, bytes: usize) {
    /// What an error takes in a frame.
    const ERROR: usize = 256;
    let mut frame = frame.saturating_sub(answers.len() * ERROR);
    let mut bytes = bytes;
    for answer in answers {
        let fits = || {
            let weight = measure(answer, Limits::ANSWER).map_err(|exceeded| exceeded.to_string())?;
            let len = postcard::experimental::serialized_size(answer).map_err(|error| error.to_string())?;
            let together = || "the host's answers together are too large".to_owned();
            let left = (frame.checked_sub(len), bytes.checked_sub(weight));
            let (Some(frame), Some(bytes)) = left else {
                return Err(together());
            };
            Ok((frame, bytes))
        };
        match fits() {
            Ok(left) => (frame, bytes) = left,
            Err(why) => {
                let message = format!("the answer is skipped: {why}");
                *answer = Err(FactError { message });
            }
        }
    }
}

#[cfg(test)]
mod tests;
