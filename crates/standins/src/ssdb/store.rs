//! Data, changes and positions, in memory and on disk.
//!
//! Data and changes are one log under `data/`, positions another under `meta/`: each record is a message of the
//! protocol, appended before the change is answered, so that a killed server has all that it said it had. A record
//! that was cut off is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use super::item;
use super::message;

/// What a change does, in the words that the log and the link have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// A key, a field or a member gets a value.
    Set,
    /// It is deleted.
    Delete,
    /// An item comes behind the last of a queue.
    PushBack,
    /// An item comes before the first.
    PushFront,
    /// The last goes.
    PopBack,
    /// The first goes.
    PopFront,
}

impl Verb {
    const ALL: [(Self, &'static [u8]); 6] = [
        (Self::Set, b"set"),
        (Self::Delete, b"del"),
        (Self::PushBack, b"qpush_back"),
        (Self::PushFront, b"qpush_front"),
        (Self::PopBack, b"qpop_back"),
        (Self::PopFront, b"qpop_front"),
    ];

    pub(super) fn word(self) -> &'static [u8] {
        let mut all = Self::ALL.iter();
        all.find(|(verb, _)| *verb == self).map_or(b"", |(_, word)| word)
    }

    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known)| *known == word).map(|(verb, _)| *verb)
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) seq: u64,
    /// Whether it came from a mirror: then it is not passed on to mirrors.
    pub(super) is_mirrored: bool,
    pub(super) verb: Verb,
    /// What is stored; of a pop the name of the queue, as with the real server.
    pub(super) key: Vec<u8>,
}

/// How far a slave is with one master.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) last_seq: u64,
    /// The last key of a copy that is under way; empty where none is.
    pub(super) last_key: Vec<u8>,
}

/// How many changes beyond its capacity a binlog keeps before it is trimmed to its capacity (`binlog.cpp`; seen).
const SLACK: u64 = 10_000;

/// All of it.
pub(super) struct Store {
    pub(super) data: BTreeMap<Vec<u8>, Vec<u8>>,
    changes: VecDeque<Change>,
    /// The oldest change that is kept: 0 for a server that began without any, until it is started again (seen).
    min_seq: u64,
    pub(super) max_seq: u64,
    pub(super) capacity: u64,
    has_binlog: bool,
    positions: BTreeMap<String, Position>,
    data_log: File,
    meta_log: File,
}

impl Store {
    /// Opens what stands in a directory, or begins anew.
    pub(super) fn open(work_dir: &Path, capacity: u64, has_binlog: bool) -> io::Result<Self> {
        let (data_log, data) = open_log(&work_dir.join("data"))?;
        data_log.try_lock()?;
        let (meta_log, meta) = open_log(&work_dir.join("meta"))?;
        let mut store = Self {
            data: BTreeMap::new(),
            changes: VecDeque::new(),
            min_seq: 0,
            max_seq: 0,
            capacity,
            has_binlog,
            positions: BTreeMap::new(),
            data_log,
            meta_log,
        };
        for record in data {
            match record.as_slice() {
                [word, min] if word == b"trim" => store.forget(number(min)),
                [word, kind, key, rest @ ..] => {
                    if let Some(verb) = Verb::of(word) {
                        store.take_in(verb, kind == b"m", key, rest.first());
                    }
                }
                _ => {}
            }
        }
        store.min_seq = store.changes.front().map_or(0, |change| change.seq);
        for record in meta {
            if let [id, last_seq, last_key] = record.as_slice() {
                let position = Position {
                    last_seq: number(last_seq),
                    last_key: last_key.clone(),
                };
                store
                    .positions
                    .insert(String::from_utf8_lossy(id).into_owned(), position);
            }
        }
        Ok(store)
    }

    /// Makes a change, which is one even where a key that is deleted is not there, as with the real server. A key is what
    /// is stored; of a push or a pop it is the name of the queue.
    pub(super) fn change(
        &mut self,
        verb: Verb,
        key: &[u8],
        value: Option<&[u8]>,
        is_mirrored: bool,
    ) -> io::Result<()> {
        let kind: &[u8] = if is_mirrored { b"m" } else { b"s" };
        let parts = [verb.word(), kind, key];
        let parts = parts.into_iter().chain(value);
        message::write(&mut self.data_log, &parts.collect::<Vec<_>>())?;
        self.take_in(verb, is_mirrored, key, value.map(<[u8]>::to_vec).as_ref());
        Ok(())
    }

    fn take_in(&mut self, verb: Verb, is_mirrored: bool, key: &[u8], value: Option<&Vec<u8>>) {
        let value = value.cloned().unwrap_or_default();
        let mut key = key.to_owned();
        match verb {
            Verb::Set => drop(self.data.insert(key.clone(), value)),
            Verb::Delete => drop(self.data.remove(&key)),
            Verb::PushBack | Verb::PushFront => {
                let at = match (verb, self.ends(&key)) {
                    (_, None) => item::FIRST,
                    (Verb::PushBack, Some((_, last))) => last + 1,
                    (_, Some((first, _))) => first - 1,
                };
                key = item::queued(&key, at);
                self.data.insert(key.clone(), value);
            }
            Verb::PopBack | Verb::PopFront => {
                let ends = self.ends(&key);
                let at = ends.map(|(first, last)| if verb == Verb::PopBack { last } else { first });
                if let Some(at) = at {
                    self.data.remove(&item::queued(&key, at));
                }
            }
        }
        if !self.has_binlog {
            return;
        }
        self.max_seq += 1;
        self.changes.push_back(Change {
            seq: self.max_seq,
            is_mirrored,
            verb,
            key,
        });
    }

    /// The numbers of a queue's first and last item.
    fn ends(&self, name: &[u8]) -> Option<(u64, u64)> {
        let mut items = self.of(item::QUEUE, name);
        let first = items.next()?.0;
        let last = items.next_back().map_or(first, |(key, _)| key);
        Some((item::seq(first)?, item::seq(last)?))
    }

    /// All of a collection, in order.
    pub(super) fn of(&self, kind: u8, name: &[u8]) -> impl DoubleEndedIterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let from = item::of(kind, name);
        let mut to = from.clone();
        // After `=`, which ends the name.
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        self.data.range(from..to)
    }

    /// Trims the binlog where it is due: the real server looks every 50 ms, this one whenever somebody asks.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        if self.max_seq - self.min_seq < self.capacity.saturating_add(SLACK) {
            return Ok(());
        }
        let min = self.max_seq - self.capacity + 1;
        message::write(&mut self.data_log, &[b"trim", min.to_string().as_bytes()])?;
        self.forget(min);
        self.min_seq = min;
        Ok(())
    }

    fn forget(&mut self, min: u64) {
        while self.changes.front().is_some_and(|change| change.seq < min) {
            self.changes.pop_front();
        }
    }

    pub(super) fn min_seq(&self) -> u64 {
        self.min_seq
    }

    /// The change after a number; the oldest where that is gone.
    pub(super) fn next(&self, after: u64) -> Option<&Change> {
        let first = self.changes.front()?.seq;
        let at = usize::try_from((after + 1).saturating_sub(first)).ok()?;
        self.changes.get(at)
    }

    /// How far a slave is.
    pub(super) fn position(&self, id: &str) -> Position {
        self.positions.get(id).cloned().unwrap_or_default()
    }

    /// Remembers how far a slave is.
    pub(super) fn remember(&mut self, id: &str, position: &Position) -> io::Result<()> {
        if self.positions.get(id) == Some(position) {
            return Ok(());
        }
        let last_seq = position.last_seq.to_string();
        message::write(
            &mut self.meta_log,
            &[id.as_bytes(), last_seq.as_bytes(), &position.last_key],
        )?;
        self.positions.insert(id.to_owned(), position.clone());
        Ok(())
    }
}

fn number(digits: &[u8]) -> u64 {
    String::from_utf8_lossy(digits).parse().unwrap_or_default()
}

fn open_log(dir: &Path) -> io::Result<(File, Vec<message::Message>)> {
    fs::create_dir_all(dir)?;
    let mut file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(dir.join("LOG"))?;
    let mut reader = BufReader::new(&file);
    let (mut records, mut whole) = (Vec::new(), 0);
    while let Ok(Some(record)) = message::read(&mut reader) {
        records.push(record);
        whole = reader.stream_position()?;
    }
    drop(reader);
    file.set_len(whole)?;
    file.seek(io::SeekFrom::End(0))?;
    Ok((file, records))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(store: &mut Store, key: &[u8], value: &[u8], is_mirrored: bool) {
        let key = item::kv(key);
        store.change(Verb::Set, &key, Some(value), is_mirrored).unwrap();
    }

    #[test]
    fn what_was_answered_is_there_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 100, true).unwrap();
        set(&mut store, b"a", b"1", false);
        set(&mut store, b"b", b"2", true);
        store.change(Verb::Delete, &item::kv(b"a"), None, false).unwrap();
        let position = Position {
            last_seq: 7,
            last_key: Vec::new(),
        };
        store.remember("db2", &position).unwrap();
        drop(store);
        // Cut off in the middle of a record.
        let log = dir.path().join("data/LOG");
        let mut bytes = fs::read(&log).unwrap();
        bytes.extend_from_slice(b"3\nset\n1\ns\n1\nz");
        fs::write(&log, bytes).unwrap();
        let store = Store::open(dir.path(), 100, true).unwrap();
        assert_eq!(store.data.keys().collect::<Vec<_>>(), [b"kb"]);
        assert_eq!((store.min_seq(), store.max_seq), (1, 3));
        assert_eq!(store.position("db2"), position);
        assert!(store.next(1).unwrap().is_mirrored && store.next(3).is_none());
    }

    #[test]
    fn changes_beyond_the_capacity_and_10000_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 2, true).unwrap();
        for _ in 0..10_001 {
            set(&mut store, b"k", b"v", false);
        }
        store.trim().unwrap();
        assert_eq!((store.min_seq(), store.max_seq), (0, 10_001));
        set(&mut store, b"k", b"v", false);
        store.trim().unwrap();
        assert_eq!((store.min_seq(), store.max_seq), (10_001, 10_002));
        assert_eq!(store.next(1).unwrap().seq, 10_001);
        drop(store);
        let store = Store::open(dir.path(), 2, true).unwrap();
        assert_eq!((store.min_seq(), store.max_seq), (10_001, 10_002));
    }

    #[test]
    fn a_queue_has_two_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 2, true).unwrap();
        for (verb, value) in [
            (Verb::PushBack, "b"),
            (Verb::PushFront, "a"),
            (Verb::PushBack, "c"),
        ] {
            store.change(verb, b"q", Some(value.as_bytes()), false).unwrap();
        }
        store.change(Verb::PopFront, b"q", None, false).unwrap();
        let left: Vec<_> = store
            .of(item::QUEUE, b"q")
            .map(|(_, value)| value.clone())
            .collect();
        assert_eq!(left, [b"b", b"c"]);
    }
}
