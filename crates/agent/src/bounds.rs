//! What a conversation with a server may take: until when, and how much of the host's memory.
//!
//! The agent runs as root beside a database, and any process that listens where a server should can answer to it. So
//! all that is received and made of it is taken out of one budget of the host, and given back when the query is
//! answered: many queries at once cannot take more together than one is allowed to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much may be held at one time for all queries of a connection.
const HOST: usize = 320 << 20;
/// How much one query may hold: a reply of the greatest length, and what is made of it.
const QUERY: usize = 160 << 20;
/// A longer reply is no answer to a question of ours.
pub(crate) const REPLY: usize = 16 << 20;

/// The host's budget.
pub(crate) struct Memory {
    left: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(HOST),
        }
    }
}

impl Memory {
    /// A share for one query.
    pub(crate) fn share(&self) -> Share<'_> {
        self.share_of(QUERY)
    }

    /// A share for all answers that wait to be sent.
    pub(crate) fn whole(&self) -> Share<'_> {
        self.share_of(HOST)
    }

    fn share_of(&self, most: usize) -> Share<'_> {
        Share {
            memory: self,
            held: 0,
            most,
        }
    }
}

/// Memory that is held; it is given back when this is dropped.
pub(crate) struct Share<'h> {
    memory: &'h Memory,
    held: usize,
    most: usize,
}

impl<'h> Share<'h> {
    /// Another share of the same budget, for what is given back earlier.
    pub(crate) fn beside(&self) -> Share<'h> {
        self.memory.share()
    }

    /// Takes more; the error says why there is no more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), String> {
        if bytes > self.most - self.held {
            return Err(format!("its answer takes more than {} MiB", self.most >> 20));
        }
        let taken = self
            .memory
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.map_err(|_| format!("the host's answers take more than {} MiB together", HOST >> 20))?;
        self.held += bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.memory.left.fetch_add(self.held, Ordering::Relaxed);
    }
}

/// How long a conversation may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    /// When all of it must be over, however slowly bytes drip.
    pub(crate) until: Instant,
    /// How long the other side may be silent.
    pub(crate) silence: Duration,
}

impl Time {
    /// The time for all questions of a fact to a server on the same host.
    pub(crate) fn of_server() -> Self {
        Self::within(Duration::from_secs(10)).silence(Duration::from_secs(3))
    }

    /// All of it within a time; silence may take as long.
    pub(crate) fn within(limit: Duration) -> Self {
        // A limit of centuries is none.
        let now = Instant::now();
        let until = now.checked_add(limit).unwrap_or(now + Duration::from_hours(24));
        Self::until(until)
    }

    /// All of it until then; silence may take as long.
    pub(crate) fn until(until: Instant) -> Self {
        Self {
            until,
            silence: Duration::MAX,
        }
    }

    /// The same, with less patience.
    pub(crate) fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// How long the next step may take; `None` once the time is over.
    pub(crate) fn next(self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        Some(left.min(self.silence)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_together_hold_no_more_than_the_host_may() {
        let memory = Memory::default();
        let mut shares: Vec<Share<'_>> = (0..3).map(|_| memory.share()).collect();
        assert!(shares[0].grow(QUERY).is_ok() && shares[1].grow(QUERY).is_ok());
        assert_eq!(
            shares[0].grow(1).unwrap_err(),
            "its answer takes more than 160 MiB"
        );
        assert_eq!(
            shares[2].grow(QUERY).unwrap_err(),
            "the host's answers take more than 320 MiB together"
        );
        shares.remove(0);
        assert!(shares[1].grow(QUERY).is_ok());
    }
}
