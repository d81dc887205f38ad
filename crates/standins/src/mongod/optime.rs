//! The place of an operation in the oplog: a timestamp, and the election term of the primary that made it.

use bson::{Bson, DateTime, Document, Timestamp, doc};

/// Orders operations: by term first, as the real server does, then by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpTime {
    /// The primary's election term; -1 outside of a replica set.
    pub term: i64,
    /// Seconds since 1970, and a number within the second.
    pub ts: (u32, u32),
}

impl OpTime {
    /// The time before all operations.
    pub const NULL: Self = Self { term: -1, ts: (0, 0) };

    /// The timestamp in BSON's form.
    pub fn timestamp(self) -> Timestamp {
        Timestamp {
            time: self.ts.0,
            increment: self.ts.1,
        }
    }

    /// As the server writes it: `{ts, t}`.
    pub fn document(self) -> Document {
        doc! {"ts": self.timestamp(), "t": self.term}
    }

    /// Reads `{ts, t}`; the null time where there is none.
    pub fn read(value: Option<&Bson>) -> Self {
        let Some(document) = value.and_then(Bson::as_document) else {
            return Self::NULL;
        };
        let ts = document.get_timestamp("ts").unwrap_or(Timestamp {
            time: 0,
            increment: 0,
        });
        Self {
            term: document.get_i64("t").unwrap_or(-1),
            ts: (ts.time, ts.increment),
        }
    }

    /// The wall-clock time of it, to the second.
    pub fn date(self) -> DateTime {
        DateTime::from_millis(i64::from(self.ts.0) * 1000)
    }

    /// The next place after this one, now, in this term.
    #[must_use]
    pub fn next(self, term: i64) -> Self {
        let now = u32::try_from(DateTime::now().timestamp_millis() / 1000).unwrap_or(0);
        let ts = if now > self.ts.0 {
            (now, 1)
        } else {
            (self.ts.0, self.ts.1 + 1)
        };
        Self { term, ts }
    }
}
