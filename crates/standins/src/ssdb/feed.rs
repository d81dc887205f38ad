//! The master's side of a link: one thread for each slave that asked for changes.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::Word;
use super::message;
use super::shared::{Client, Shared};

/// How long an idle master sleeps (`TICK_INTERVAL_MS` of `backend_sync.cpp`).
const TICK: Duration = Duration::from_millis(300);
/// After how long of idling a slave is told where it stands.
const NOOP: Duration = Duration::from_secs(3);
/// How many changes that are not for it a slave is not told of.
const SKIPPED: u64 = 1000;
/// How many keys of a copy go at once.
const BATCH: usize = 1000;

/// A slave's request: how far it is.
pub(super) struct Ask {
    pub(super) last_seq: u64,
    pub(super) last_key: Vec<u8>,
    pub(super) is_mirror: bool,
}

struct Feed<'a, W> {
    shared: &'a Shared,
    to: W,
    client: &'a Client,
    ask: Ask,
    /// The last change that the slave was told of, by itself or by a noop.
    told: u64,
}

/// Sends changes until the slave is gone.
pub(super) fn run(shared: &Arc<Shared>, to: impl Write, client: &Client, ask: Ask) -> io::Result<()> {
    let mut feed = Feed {
        shared,
        to,
        client,
        told: ask.last_seq,
        ask,
    };
    if !feed.begin()? {
        // The connection stays, and nothing more is said: the slave must be reset.
        loop {
            std::thread::sleep(NOOP);
            feed.send(&Word::Noop(feed.ask.last_seq))?;
        }
    }
    let mut idle = Instant::now();
    loop {
        if feed.step()? {
            idle = Instant::now();
        } else if idle.elapsed() >= NOOP {
            idle = Instant::now();
            feed.told = feed.ask.last_seq;
            feed.send(&Word::Noop(feed.ask.last_seq))?;
        } else {
            std::thread::sleep(TICK);
        }
    }
}

impl<W: Write> Feed<'_, W> {
    /// Copies everything where the slave has nothing; `false` where the slave is out of sync.
    fn begin(&mut self) -> io::Result<bool> {
        let (min, max) = self.shared.store(|store| (store.min_seq(), store.max_seq));
        let last = self.ask.last_seq;
        if last != 0 && (last > max || last < min) {
            self.client.set("OUT_OF_SYNC", last);
            self.send(&Word::OutOfSync)?;
            return Ok(false);
        }
        if last == 0 || !self.ask.last_key.is_empty() {
            self.client.set("COPY", last);
            self.copy()?;
        }
        self.client.set("SYNC", self.ask.last_seq);
        self.send(&Word::CopyEnd(self.ask.last_seq))?;
        Ok(true)
    }

    fn copy(&mut self) -> io::Result<()> {
        let seq = self.shared.store(|store| store.max_seq);
        let mut last_key = std::mem::take(&mut self.ask.last_key);
        if last_key.is_empty() {
            self.send(&Word::CopyBegin)?;
        }
        loop {
            let batch: Vec<_> = self.shared.store(|store| {
                let from = (
                    std::ops::Bound::Excluded(last_key.clone()),
                    std::ops::Bound::Unbounded,
                );
                let from_all = store.data.range::<Vec<u8>, _>(from).take(BATCH);
                from_all
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            });
            let Some((key, _)) = batch.last() else { break };
            last_key.clone_from(key);
            for (key, value) in batch {
                self.send(&Word::Copy { seq, key, value })?;
            }
        }
        self.ask.last_seq = seq;
        self.told = seq;
        Ok(())
    }

    /// Sends the next changes; `false` where there are none.
    fn step(&mut self) -> io::Result<bool> {
        let mut sent = false;
        loop {
            let last = self.ask.last_seq;
            let next = self.shared.store(|store| {
                let change = store.next(last)?.clone();
                let value = store.data.get(&change.key).cloned();
                Some((change, value))
            });
            let Some((change, value)) = next else {
                return Ok(sent);
            };
            if last != 0 && change.seq != last + 1 {
                self.client.set("OUT_OF_SYNC", last);
                self.send(&Word::OutOfSync)?;
                return Ok(sent);
            }
            self.ask.last_seq = change.seq;
            self.client.set("SYNC", change.seq);
            if change.is_mirrored && self.ask.is_mirror {
                if change.seq - self.told >= SKIPPED {
                    self.told = change.seq;
                    self.send(&Word::Noop(change.seq))?;
                    sent = true;
                }
                continue;
            }
            sent = true;
            self.told = change.seq;
            let (seq, key) = (change.seq, change.key);
            match value {
                // The value of now, not that of the change.
                Some(value) if change.is_set => self.send(&Word::Set { seq, key, value })?,
                None if change.is_set => {}
                _ => self.send(&Word::Delete { seq, key })?,
            }
        }
    }

    fn send(&mut self, word: &Word) -> io::Result<()> {
        message::write(&mut self.to, &word.encode())
    }
}
