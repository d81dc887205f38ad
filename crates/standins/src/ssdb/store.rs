//! Data, changes and positions, in memory and on disk.
//!
//! Data and changes are one log under `data/`, positions another under `meta/`: each record is a message of the
//! protocol, appended before the change is answered, so that a killed server has all that it said it had. A record
//! that was cut off is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use super::message;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) seq: u64,
    /// Whether it came from a mirror: then it is not passed on to mirrors.
    pub(super) is_mirrored: bool,
    pub(super) is_set: bool,
    pub(super) key: Vec<u8>,
}

/// How far a slave is with one master.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) last_seq: u64,
    /// The last key of a copy that is under way; empty where none is.
    pub(super) last_key: Vec<u8>,
}

/// All of it.
pub(super) struct Store {
    pub(super) data: BTreeMap<Vec<u8>, Vec<u8>>,
    changes: VecDeque<Change>,
    pub(super) max_seq: u64,
    pub(super) capacity: u64,
    positions: BTreeMap<String, Position>,
    data_log: File,
    meta_log: File,
}

impl Store {
    /// Opens what stands in a directory, or begins anew.
    pub(super) fn open(work_dir: &Path, capacity: u64) -> io::Result<Self> {
        let (data_log, data) = open_log(&work_dir.join("data"))?;
        let (meta_log, meta) = open_log(&work_dir.join("meta"))?;
        let mut store = Self {
            data: BTreeMap::new(),
            changes: VecDeque::new(),
            max_seq: 0,
            capacity,
            positions: BTreeMap::new(),
            data_log,
            meta_log,
        };
        for record in data {
            if let [verb, kind, key, rest @ ..] = record.as_slice() {
                store.take_in(verb == b"set", kind == b"m", key, rest.first());
            }
        }
        for record in meta {
            if let [id, last_seq, last_key] = record.as_slice() {
                let last_seq = String::from_utf8_lossy(last_seq).parse().unwrap_or_default();
                let position = Position {
                    last_seq,
                    last_key: last_key.clone(),
                };
                store
                    .positions
                    .insert(String::from_utf8_lossy(id).into_owned(), position);
            }
        }
        Ok(store)
    }

    /// Sets a key.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8], is_mirrored: bool) -> io::Result<()> {
        message::write(&mut self.data_log, &[b"set", kind(is_mirrored), key, value])?;
        self.take_in(true, is_mirrored, key, Some(&value.to_vec()));
        Ok(())
    }

    /// Deletes a key; a change even where it is not there, as with the real server.
    pub(super) fn delete(&mut self, key: &[u8], is_mirrored: bool) -> io::Result<()> {
        message::write(&mut self.data_log, &[b"del", kind(is_mirrored), key])?;
        self.take_in(false, is_mirrored, key, None);
        Ok(())
    }

    fn take_in(&mut self, is_set: bool, is_mirrored: bool, key: &[u8], value: Option<&Vec<u8>>) {
        match value {
            Some(value) if is_set => drop(self.data.insert(key.to_owned(), value.clone())),
            _ => drop(self.data.remove(key)),
        }
        self.max_seq += 1;
        self.changes.push_back(Change {
            seq: self.max_seq,
            is_mirrored,
            is_set,
            key: key.to_owned(),
        });
        while self.changes.len() as u64 > self.capacity {
            self.changes.pop_front();
        }
    }

    /// The oldest change that is kept; 0 where all are.
    pub(super) fn min_seq(&self) -> u64 {
        self.changes
            .front()
            .map_or(0, |change| if change.seq == 1 { 0 } else { change.seq })
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

fn kind(is_mirrored: bool) -> &'static [u8] {
    if is_mirrored { b"m" } else { b"s" }
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

    #[test]
    fn what_was_answered_is_there_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 100).unwrap();
        store.set(b"a", b"1", false).unwrap();
        store.set(b"b", b"2", true).unwrap();
        store.delete(b"a", false).unwrap();
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
        let store = Store::open(dir.path(), 100).unwrap();
        assert_eq!(store.data.keys().collect::<Vec<_>>(), [b"b"]);
        assert_eq!((store.min_seq(), store.max_seq), (0, 3));
        assert_eq!(store.position("db2"), position);
        assert!(store.next(1).unwrap().is_mirrored && store.next(3).is_none());
    }

    #[test]
    fn changes_beyond_the_capacity_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 2).unwrap();
        for at in 0..5 {
            store.set(b"k", &[at], false).unwrap();
        }
        assert_eq!((store.min_seq(), store.max_seq), (4, 5));
        assert_eq!(store.next(1).unwrap().seq, 4);
    }
}
