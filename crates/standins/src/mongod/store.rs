//! The collections in memory, as the oplog makes them.

use std::collections::{BTreeMap, HashMap};

use bson::{Bson, Document};

use super::errors::CommandError;
use super::oplog::Entry;
use super::query;

/// Where users stand.
pub const USERS: &str = "admin.system.users";
/// Where cluster-wide defaults stand.
pub const SETTINGS: &str = "config.settings";

/// One collection: documents in the order of their insertion, found by `_id`.
#[derive(Debug, Default)]
struct Collection {
    documents: BTreeMap<u64, Document>,
    by_id: HashMap<Vec<u8>, u64>,
    next: u64,
}

/// All databases, and which retryable writes are done.
#[derive(Debug, Default)]
pub struct Store {
    collections: BTreeMap<String, Collection>,
    /// Session → its last transaction's number and the statements of it that are done.
    sessions: HashMap<Vec<u8>, (i64, Vec<i32>)>,
}

/// A key that is the same for equal ids: 1, 1.0 and NumberLong(1) are one.
fn key(id: &Bson) -> Vec<u8> {
    if let Some(number) = query::number(id) {
        let mut key = b"n".to_vec();
        key.extend(number.to_bits().to_be_bytes());
        return key;
    }
    let mut wrapped = Document::new();
    wrapped.insert("", id.clone());
    wrapped.to_vec().unwrap_or_default()
}

impl Collection {
    fn put(&mut self, document: Document) {
        let key = key(document.get("_id").unwrap_or(&Bson::Null));
        let at = *self.by_id.entry(key).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.documents.insert(at, document);
    }

    fn remove(&mut self, id: &Bson) {
        if let Some(at) = self.by_id.remove(&key(id)) {
            self.documents.remove(&at);
        }
    }
}

impl Store {
    /// The collections that these entries make.
    pub fn replay(entries: &[Entry]) -> Self {
        let mut store = Self::default();
        for entry in entries {
            store.apply(entry);
        }
        store
    }

    /// Applies one entry. Applying it twice is the same as once, as in the real oplog.
    pub fn apply(&mut self, entry: &Entry) {
        let document = &entry.document;
        let namespace = document.get_str("ns").unwrap_or_default();
        let Ok(object) = document.get_document("o") else {
            return;
        };
        match document.get_str("op").unwrap_or_default() {
            "i" | "u" => self
                .collections
                .entry(namespace.to_owned())
                .or_default()
                .put(object.clone()),
            "d" => {
                if let Some(collection) = self.collections.get_mut(namespace) {
                    collection.remove(object.get("_id").unwrap_or(&Bson::Null));
                }
            }
            "c" => self.command(namespace.strip_suffix(".$cmd").unwrap_or(namespace), object),
            _ => {}
        }
        if let Ok(session) = document.get_document("lsid") {
            let number = document.get_i64("txnNumber").unwrap_or(0);
            let done = self
                .sessions
                .entry(key(session.get("id").unwrap_or(&Bson::Null)))
                .or_default();
            if done.0 != number {
                *done = (number, Vec::new());
            }
            done.1.push(document.get_i32("stmtId").unwrap_or(0));
        }
    }

    fn command(&mut self, database: &str, command: &Document) {
        if let Ok(name) = command.get_str("create") {
            self.collections.entry(format!("{database}.{name}")).or_default();
        } else if let Ok(name) = command.get_str("drop") {
            self.collections.remove(&format!("{database}.{name}"));
        } else if command.contains_key("dropDatabase") {
            self.collections
                .retain(|name, _| !name.starts_with(&format!("{database}.")));
        }
    }

    /// Whether this statement of a session's transaction is done already.
    pub fn is_done(&self, session: &(Bson, i64, i32)) -> bool {
        self.sessions
            .get(&key(&session.0))
            .is_some_and(|(number, statements)| *number == session.1 && statements.contains(&session.2))
    }

    /// Whether the collection exists.
    pub fn has(&self, namespace: &str) -> bool {
        self.collections.contains_key(namespace)
    }

    /// The collections, by their full names.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.collections.keys().map(String::as_str)
    }

    /// The document of this `_id`.
    pub fn get(&self, namespace: &str, id: &Bson) -> Option<&Document> {
        let collection = self.collections.get(namespace)?;
        collection.documents.get(collection.by_id.get(&key(id))?)
    }

    /// The documents of a collection, in the order of their insertion.
    pub fn all(&self, namespace: &str) -> impl Iterator<Item = &Document> {
        self.collections
            .get(namespace)
            .into_iter()
            .flat_map(|collection| collection.documents.values())
    }

    /// The documents that match a filter.
    pub fn find(&self, namespace: &str, filter: &Document) -> Result<Vec<Document>, CommandError> {
        if let Some(id) = filter.get("_id").filter(|id| id.as_document().is_none()) {
            let found = self.get(namespace, id).into_iter();
            return keep(found, filter);
        }
        keep(self.all(namespace), filter)
    }

    /// Whether a user exists: what ends the localhost exception.
    pub fn has_users(&self) -> bool {
        self.all(USERS).next().is_some()
    }
}

fn keep<'a>(
    documents: impl Iterator<Item = &'a Document>,
    filter: &Document,
) -> Result<Vec<Document>, CommandError> {
    let mut found = Vec::new();
    for document in documents {
        if query::matches(filter, document)? {
            found.push(document.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::super::oplog::Op;
    use super::super::optime::OpTime;
    use super::*;

    #[test]
    fn entries_make_collections_and_remember_what_was_retried() {
        let at = OpTime { term: 1, ts: (1, 1) };
        let session = (Bson::String("s".into()), 4, 0);
        let ops = [
            Op {
                session: Some(session.clone()),
                ..Op::new("i", "d.c", doc! {"_id": 1})
            },
            Op::replace("d.c", 1.into(), doc! {"_id": 1, "x": 2}),
            Op::new("i", "d.c", doc! {"_id": 2}),
            Op::new("d", "d.c", doc! {"_id": 2_i64}),
        ];
        let entries: Vec<_> = ops.iter().map(|op| Entry::new(at, op)).collect();
        let mut store = Store::replay(&entries);
        assert_eq!(
            store.all("d.c").cloned().collect::<Vec<_>>(),
            [doc! {"_id": 1, "x": 2}]
        );
        assert!(store.is_done(&session) && !store.is_done(&(session.0, 5, 0)));
        store.apply(&Entry::new(at, &Op::new("c", "d.$cmd", doc! {"drop": "c"})));
        assert!(!store.has("d.c"));
    }
}
