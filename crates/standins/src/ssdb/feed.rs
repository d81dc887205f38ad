//! The master's side of a link: one thread for each slave that asked for changes.

use std::io::{self, Write};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::item;
use super::link::Word;
use super::message;
use super::shared::{Client, Shared};
use super::store::{Change, Verb};

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
    is_copying: bool,
}

/// Sends changes until the slave is gone.
pub(super) fn run(shared: &Arc<Shared>, to: impl Write, client: &Client, ask: Ask) -> io::Result<()> {
    let mut feed = Feed {
        shared,
        to,
        client,
        told: ask.last_seq,
        is_copying: ask.last_seq == 0 || !ask.last_key.is_empty(),
        ask,
    };
    // Of one that is out of sync the connection stays, and nothing more is said: it must be reset.
    let mut is_fed = feed.begin()?;
    let mut idle = Instant::now();
    loop {
        let sent = if is_fed { feed.step()? } else { Some(false) };
        is_fed &= sent.is_some();
        if sent == Some(true) {
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
        let (min, max) = self.shared.trimmed(|store| (store.min_seq(), store.max_seq))?;
        let last = self.ask.last_seq;
        if last != 0 && (last > max || last < min) {
            self.out_of_sync()?;
            return Ok(false);
        }
        if self.is_copying {
            self.client.set("COPY", last);
            if self.ask.last_key.is_empty() {
                self.send(&Word::CopyBegin)?;
                self.ask.last_seq = max;
            }
            if !self.copy()? {
                return Ok(false);
            }
        }
        self.client.set("SYNC", self.ask.last_seq);
        self.send(&Word::CopyEnd)?;
        Ok(true)
    }

    /// Sends everything in the order of its keys, and between two batches the changes of what was sent before; those of what
    /// comes later come with it. `false` where the slave is out of sync.
    fn copy(&mut self) -> io::Result<bool> {
        loop {
            if self.step()?.is_none() {
                return Ok(false);
            }
            let batch: Vec<_> = self.shared.store(|store| {
                let from = (Bound::Excluded(self.ask.last_key.clone()), Bound::Unbounded);
                let from_all = store.data.range::<Vec<u8>, _>(from).take(BATCH);
                from_all
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            });
            let Some((last, _)) = batch.last() else {
                self.is_copying = false;
                self.told = self.ask.last_seq;
                return Ok(true);
            };
            self.ask.last_key.clone_from(last);
            self.client.set("COPY", self.ask.last_seq);
            for (key, value) in batch {
                // It pushes what it gets, whatever is there.
                let verb = if key[0] == item::QUEUE {
                    Verb::PushBack
                } else {
                    Verb::Set
                };
                self.send(&Word::Change {
                    is_copy: true,
                    seq: self.ask.last_seq,
                    verb,
                    key,
                    value: Some(value),
                })?;
            }
        }
    }

    /// Sends the next changes: whether there were any; `None` where the slave is out of sync.
    fn step(&mut self) -> io::Result<Option<bool>> {
        let mut sent = false;
        loop {
            let last = self.ask.last_seq;
            let next = self.shared.trimmed(|store| {
                let change = store.next(last)?.clone();
                let value = store.data.get(&change.key).cloned();
                Some((change, value))
            })?;
            let Some((change, value)) = next else {
                return Ok(Some(sent));
            };
            if self.is_copying && change.key > self.ask.last_key {
                self.ask.last_seq = change.seq;
                continue;
            }
            if last != 0 && change.seq != last + 1 {
                self.out_of_sync()?;
                return Ok(None);
            }
            self.ask.last_seq = change.seq;
            self.client
                .set(if self.is_copying { "COPY" } else { "SYNC" }, change.seq);
            if change.is_mirrored && self.ask.is_mirror {
                if change.seq - self.told >= SKIPPED {
                    self.told = change.seq;
                    self.send(&Word::Noop(change.seq))?;
                    sent = true;
                }
                continue;
            }
            let value = match (change.verb, value) {
                // The value of now, not that of the change.
                (Verb::Set, None) => continue,
                (Verb::Set, value) => value,
                // An item that was taken meanwhile is empty, and will be taken there, too.
                (Verb::PushBack | Verb::PushFront, value) => Some(value.unwrap_or_default()),
                (Verb::Delete | Verb::PopBack | Verb::PopFront, _) => None,
            };
            (sent, self.told) = (true, change.seq);
            let Change { seq, verb, key, .. } = change;
            self.send(&Word::Change {
                is_copy: false,
                seq,
                verb,
                key,
                value,
            })?;
        }
    }

    fn out_of_sync(&mut self) -> io::Result<()> {
        self.client.set("OUT_OF_SYNC", self.ask.last_seq);
        self.send(&Word::OutOfSync)
    }

    fn send(&mut self, word: &Word) -> io::Result<()> {
        message::write(&mut self.to, &word.encode())
    }
}
