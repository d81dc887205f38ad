//! The limits of a value, and what is left of them while it is walked through.

use std::cell::Cell;

use thiserror::Error;

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
    /// The value nests too deep.
    #[error("it nests deeper than {DEPTH} levels")]
    Depth,
    /// The value takes too much memory, or is too long.
    #[error("it takes more than {} MiB", .0 >> 20)]
    Size(usize),
}

/// The rest of the limits while a value is walked through.
pub(super) struct Budget {
    limits: Limits,
    levels: Cell<usize>,
    pub(super) bytes: Cell<usize>,
    pub(super) exceeded: Cell<Option<Exceeded>>,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            levels: Cell::new(limits.levels),
            bytes: Cell::new(limits.bytes),
            exceeded: Cell::new(None),
        }
    }

    /// Enters a list.
    pub(super) fn enter(&self) -> Result<(), Exceeded> {
        let left = self.levels.get().checked_sub(1);
        self.levels.set(left.ok_or_else(|| self.end(Exceeded::Depth))?);
        Ok(())
    }

    /// Leaves it.
    pub(super) fn leave(&self) {
        self.levels.set(self.levels.get() + 1);
    }

    pub(super) fn take(&self, bytes: usize) -> Result<(), Exceeded> {
        let left = self.bytes.get().checked_sub(bytes);
        let exceeded = || self.end(Exceeded::Size(self.limits.bytes));
        self.bytes.set(left.ok_or_else(exceeded)?);
        Ok(())
    }

    /// An element of a list. A list that grows holds up to twice its elements; one of no size counts too, or a few bytes
    /// would keep the decoder busy for ever.
    pub(super) fn element(&self, size: usize) -> Result<(), Exceeded> {
        self.take(2 * size.max(1))
    }

    fn end(&self, exceeded: Exceeded) -> Exceeded {
        self.exceeded.set(Some(exceeded));
        exceeded
    }
}
