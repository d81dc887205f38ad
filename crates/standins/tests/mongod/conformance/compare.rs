//! What the stand-in says beside what the real server said: the same fields, types and values.
//!
//! Values of no meaning are compared by their type alone: times, ids, hashes, and what stands in [`MEANINGLESS`].

use bson::{Bson, Document};
use standins::mongod::query::whole;

/// Fields whose values are another run's or machine's.
const MEANINGLESS: &[&str] = &[
    "connectionId",
    "counter",
    "keyId",
    "pid",
    "pingMs",
    "port",
    "uptime",
    "uptimeMillis",
    "you",
    // Whom a secondary takes the oplog from is its own choice.
    "syncSourceHost",
    "syncSourceId",
];

/// What two replies have in common, and what not.
#[derive(Default)]
pub(super) struct Comparison {
    /// How many values are the same.
    pub values: usize,
    /// How many values of no meaning are of the same type.
    pub types: usize,
    /// Where the replies differ, by the path of the field, and how.
    pub differences: Vec<(String, String)>,
}

impl Comparison {
    /// Compares two documents; `normal` makes hosts, paths and ids of this run those of the recording.
    pub(super) fn documents(
        &mut self,
        at: &str,
        was: &Document,
        is: &Document,
        normal: &dyn Fn(&str) -> String,
    ) {
        for (key, was) in was {
            let path = join(at, key);
            match is.get(key) {
                None => self.differs(path, "is lacking"),
                Some(is) => self.one(path, was, is, normal),
            }
        }
        for key in is.keys().filter(|key| !was.contains_key(key)) {
            self.differs(join(at, key), "is not the real server's");
        }
    }

    fn one(&mut self, path: String, was: &Bson, is: &Bson, normal: &dyn Fn(&str) -> String) {
        let name = path.rsplit('.').next().unwrap();
        let holds = match (was, is) {
            (Bson::Document(was), Bson::Document(is)) => return self.documents(&path, was, is, normal),
            (Bson::Array(was), Bson::Array(is)) if was.len() == is.len() => {
                for (at, (was, is)) in was.iter().zip(is).enumerate() {
                    self.one(join(&path, &at.to_string()), was, is, normal);
                }
                return;
            }
            (Bson::Int32(_) | Bson::Int64(_), Bson::Int32(_) | Bson::Int64(_))
            | (Bson::Double(_), Bson::Double(_))
            | (Bson::String(_), Bson::String(_))
                if MEANINGLESS.contains(&name) || path == "host" =>
            {
                None
            }
            (Bson::Int32(_) | Bson::Int64(_), Bson::Int32(_) | Bson::Int64(_)) => {
                Some(whole(was) == whole(is))
            }
            (Bson::String(was), Bson::String(is)) => Some(*was == normal(is)),
            // Whether there is a time at all has a meaning.
            (Bson::Timestamp(was), Bson::Timestamp(is)) => Some((was.time == 0) == (is.time == 0)),
            (Bson::DateTime(was), Bson::DateTime(is)) => {
                Some((was.timestamp_millis() == 0) == (is.timestamp_millis() == 0))
            }
            (Bson::ObjectId(was), Bson::ObjectId(is)) if name == "electionId" => Some(was == is),
            (Bson::Binary(_), Bson::Binary(_)) | (Bson::ObjectId(_), Bson::ObjectId(_)) => None,
            _ => Some(was == is),
        };
        match holds {
            None => self.types += 1,
            Some(true) => self.values += 1,
            Some(false) => self.differs(path, &format!("is {}, was {was}", normal(&is.to_string()))),
        }
    }

    fn differs(&mut self, path: String, how: &str) {
        self.differences.push((path, how.to_owned()));
    }
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}
