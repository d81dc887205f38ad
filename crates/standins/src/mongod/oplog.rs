//! The oplog: every change that this member has made or taken from another, in order, on disk.
//!
//! It is the stand-in's only store of data: collections are built from it at the start, a new member takes it over
//! from its beginning (which is its initial sync), and what a deposed primary wrote alone is cut off its end (which
//! is its rollback). Each entry is flushed to disk before anybody hears of it, so a `kill -9` loses nothing that was
//! acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bson::{Bson, DateTime, Document, doc};

use super::optime::OpTime;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place.
    pub at: OpTime,
    /// The document as it stands in `local.oplog.rs`.
    pub document: Document,
}

impl Entry {
    /// A change of this kind (`i`, `u`, `d`, `c`, `n`) in this namespace, at this place.
    pub fn new(at: OpTime, op: &Op) -> Self {
        let mut document = doc! {"op": op.kind, "ns": &op.namespace, "o": op.object.clone()};
        if let Some(id) = &op.id {
            document.insert("o2", doc! {"_id": id.clone()});
        }
        if let Some((session, number, statement)) = &op.session {
            document.insert("lsid", doc! {"id": session.clone()});
            document.insert("txnNumber", *number);
            document.insert("stmtId", *statement);
        }
        document.extend(doc! {"ts": at.timestamp(), "v": 2_i64, "wall": DateTime::now()});
        if at.term != OpTime::NULL.term {
            document.insert("t", at.term);
        }
        Self { at, document }
    }

    /// Reads an entry back from its document.
    pub fn from_document(document: Document) -> Self {
        let at = OpTime::read(Some(&Bson::Document(doc! {
            "ts": document.get("ts").cloned().unwrap_or(Bson::Null),
            "t": document.get("t").cloned().unwrap_or(Bson::Null),
        })));
        Self { at, document }
    }

    /// When it was made.
    pub fn wall(&self) -> DateTime {
        self.document
            .get_datetime("wall")
            .copied()
            .unwrap_or(self.at.date())
    }
}

/// What a write wants to have done; it gets its place when it is appended.
#[derive(Debug, Clone)]
pub struct Op {
    /// `i` insert, `u` replace, `d` delete, `c` command, `n` nothing.
    pub kind: &'static str,
    /// Database and collection.
    pub namespace: String,
    /// The new document, the removed one's `_id`, or the command.
    pub object: Document,
    /// Of a replacement: whose.
    pub id: Option<Bson>,
    /// The client's session, its transaction's number and the statement's, for writes that may be sent again.
    pub session: Option<(Bson, i64, i32)>,
}

impl Op {
    /// An operation without `o2` and session.
    pub fn new(kind: &'static str, namespace: impl Into<String>, object: Document) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            object,
            id: None,
            session: None,
        }
    }

    /// Replaces the document of this `_id`.
    pub fn replace(namespace: impl Into<String>, id: Bson, object: Document) -> Self {
        Self {
            id: Some(id),
            ..Self::new("u", namespace, object)
        }
    }
}

/// The file and what it holds.
#[derive(Debug)]
pub struct Oplog {
    file: File,
    entries: Vec<Entry>,
    /// Where each entry ends in the file.
    ends: Vec<u64>,
}

impl Oplog {
    /// Opens the oplog of this data directory. A half-written last entry, as a `kill -9` leaves it, is cut off.
    pub fn open(db_path: &Path) -> std::io::Result<Self> {
        let path = db_path.join("standin-oplog.bson");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut oplog = Self {
            file,
            entries: Vec::new(),
            ends: Vec::new(),
        };
        let mut rest = bytes.as_slice();
        while let Ok(document) = Document::from_reader(&mut rest) {
            oplog.entries.push(Entry::from_document(document));
            oplog.ends.push((bytes.len() - rest.len()) as u64);
        }
        oplog.truncate(oplog.entries.len())?;
        Ok(oplog)
    }

    /// Appends entries and flushes them to disk.
    pub fn append(&mut self, entries: Vec<Entry>) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let mut end = self.ends.last().copied().unwrap_or(0);
        let mut ends = Vec::new();
        for entry in &entries {
            let document = entry.document.to_vec().map_err(std::io::Error::other)?;
            end += document.len() as u64;
            ends.push(end);
            bytes.extend(document);
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.entries.extend(entries);
        self.ends.extend(ends);
        Ok(())
    }

    /// Cuts off everything from this index on.
    pub fn truncate(&mut self, length: usize) -> std::io::Result<()> {
        self.entries.truncate(length);
        self.ends.truncate(length);
        let end = self.ends.last().copied().unwrap_or(0);
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.file.sync_data()
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of the last entry.
    pub fn last(&self) -> OpTime {
        self.entries.last().map_or(OpTime::NULL, |entry| entry.at)
    }

    /// The index of the entry at this place.
    pub fn find(&self, at: OpTime) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.at == at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_is_cut_off_and_the_rest_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let first = Entry::new(
            OpTime { term: 1, ts: (5, 1) },
            &Op::new("i", "d.c", doc! {"_id": 1}),
        );
        let second = Entry::new(
            OpTime { term: 1, ts: (5, 2) },
            &Op::new("i", "d.c", doc! {"_id": 2}),
        );
        let mut oplog = Oplog::open(dir.path()).unwrap();
        oplog.append(vec![first.clone(), second.clone()]).unwrap();
        drop(oplog);
        let path = dir.path().join("standin-oplog.bson");
        let length = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - 3)
            .unwrap();
        let mut oplog = Oplog::open(dir.path()).unwrap();
        assert_eq!(oplog.entries(), [first]);
        oplog.append(vec![second.clone()]).unwrap();
        drop(oplog);
        assert_eq!(Oplog::open(dir.path()).unwrap().last(), second.at);
    }
}
