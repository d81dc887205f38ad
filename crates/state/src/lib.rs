//! The run journal: what was done to the cluster, when, by whom, and how it ended.
//!
//! It is for people: history, audit, and a hint of where a run stopped that was killed. No decision is ever taken
//! from it, because the hosts are the truth. [`Journal`] is one `SQLite` file with a row for each run and each event;
//! an event is on its way to the disk before the next one happens, so a run that is killed leaves all but its end.
//!
//! There is no clock here: the caller says what time it is.

mod error;
mod journal;
mod record;
mod schema;
mod writer;

pub use error::JournalError;
pub use journal::Journal;
pub use record::{RunEnd, RunInfo, RunNode, RunRecord, RunSummary};
pub use writer::RunWriter;
