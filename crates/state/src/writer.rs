//! The run that is being written. It has a connection of its own, so it can be moved to whatever task takes the
//! events in.

use std::path::PathBuf;

use plan::{Event, Outcome};
use rusqlite::{Connection, params};
use types::RunId;

use crate::JournalError;

/// Appends to one run. Dropped without [`RunWriter::finish`], the run stays unfinished, as if it had been killed.
#[derive(Debug)]
pub struct RunWriter {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) run: RunId,
    pub(crate) next: i64,
}

impl RunWriter {
    /// The run's id.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Adds an event. When this returns the event outlives the process, however it ends.
    pub fn append(&mut self, at_us: i64, event: &Event) -> Result<(), JournalError> {
        let json = serde_json::to_string(event).map_err(|source| JournalError::Damaged {
            path: self.path.clone(),
            what: format!("event {} of run {}", self.next, self.run),
            source: source.into(),
        })?;
        let sql = "INSERT INTO events (run, seq, at_us, event) VALUES (?1, ?2, ?3, ?4)";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut insert| insert.execute(params![self.run.as_str(), self.next, at_us, json]))
            .map_err(|source| self.failed(source))?;
        self.next += 1;
        Ok(())
    }

    /// Ends the run.
    pub fn finish(self, at_us: i64, outcome: &Outcome) -> Result<(), JournalError> {
        let sql = "UPDATE runs SET ended_us = ?2, done = ?3, failed = ?4, not_run = ?5, interrupted = ?6 \
                   WHERE run = ?1";
        let values = params![
            self.run.as_str(),
            at_us,
            outcome.done,
            outcome.failed,
            outcome.not_run,
            outcome.interrupted
        ];
        self.connection
            .execute(sql, values)
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Store {
            doing: "write to",
            path: self.path.clone(),
            source,
        }
    }
}
