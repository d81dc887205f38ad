//! The journal as a whole: opening it, beginning a run, and asking what happened.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plan::{Event, Outcome};
use rusqlite::{Connection, Row, params};
use types::{NameError, RunId};

use crate::schema::connect;
use crate::{JournalError, RunEnd, RunInfo, RunNode, RunRecord, RunSummary, RunWriter};

/// How many runs an ambiguous prefix is answered with.
const CANDIDATES: usize = 5;

/// The file of all runs.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Connection,
}

impl Journal {
    /// Opens the journal; makes it, and its directory, for this user alone where there is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        create(&path)?;
        let connection = connect(&path)?;
        Ok(Self { path, connection })
    }

    /// Begins a run.
    pub fn begin(&self, info: &RunInfo) -> Result<RunWriter, JournalError> {
        let nodes =
            serde_json::to_string(&info.nodes).map_err(|source| self.damaged(plan_of(&info.run), source))?;
        let connection = connect(&self.path)?;
        let sql = "INSERT INTO runs (run, started_us, who, command, inventory, node_count, nodes) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            info.run.as_str(),
            info.started_us,
            info.who,
            info.command,
            info.inventory,
            info.nodes.len(),
            nodes
        ];
        connection
            .execute(sql, values)
            .map_err(|source| JournalError::Store {
                doing: "write to",
                path: self.path.clone(),
                source,
            })?;
        Ok(RunWriter {
            path: self.path.clone(),
            connection,
            run: info.run.clone(),
            next: 1,
        })
    }

    /// The newest runs, newest first.
    pub fn runs(&self, limit: usize) -> Result<Vec<RunSummary>, JournalError> {
        let sql = "SELECT run, started_us, who, command, inventory, node_count, \
                   coalesce((SELECT at_us FROM events e WHERE e.run = r.run ORDER BY seq DESC LIMIT 1), started_us) \
                   AS last_us, ended_us, done, failed, not_run, interrupted \
                   FROM runs r ORDER BY started_us DESC, run DESC LIMIT ?1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let rows = query
            .query_map([limit], |row| Ok((row.get::<_, String>("run")?, summary(row)?)))
            .map_err(|e| self.failed(e))?;
        rows.map(|row| {
            let (id, summary) = row.map_err(|e| self.failed(e))?;
            summary.map_err(|e| self.damaged(format!("run {id}"), e))
        })
        .collect()
    }

    /// One run by its id, or by the beginning of its id where only one begins so.
    pub fn run(&self, prefix: &str) -> Result<RunRecord, JournalError> {
        let id = self.resolve(prefix)?;
        let sql = "SELECT run, started_us, who, command, inventory, nodes, \
                   ended_us, done, failed, not_run, interrupted FROM runs WHERE run = ?1";
        let read = |row: &Row<'_>| {
            let nodes: String = row.get("nodes")?;
            let info = |nodes| -> rusqlite::Result<RunInfo> {
                Ok(RunInfo {
                    run: id.clone(),
                    started_us: row.get("started_us")?,
                    who: row.get("who")?,
                    command: row.get("command")?,
                    inventory: row.get("inventory")?,
                    nodes,
                })
            };
            Ok((info(Vec::new())?, nodes, end(row)?))
        };
        let (mut info, nodes, end) = self
            .connection
            .query_row(sql, [id.as_str()], read)
            .map_err(|e| self.failed(e))?;
        info.nodes =
            serde_json::from_str::<Vec<RunNode>>(&nodes).map_err(|e| self.damaged(plan_of(&id), e))?;
        let events = self.events(&id)?;
        Ok(RunRecord { info, events, end })
    }

    fn events(&self, run: &RunId) -> Result<Vec<(i64, Event)>, JournalError> {
        let sql = "SELECT seq, at_us, event FROM events WHERE run = ?1 ORDER BY seq";
        let mut query = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let rows = query
            .query_map([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(|e| self.failed(e))?;
        rows.map(|row| {
            let (seq, at_us, json): (i64, i64, String) = row.map_err(|e| self.failed(e))?;
            // By way of a value: with serde_json's arbitrary_precision on, an enum that is tagged inside cannot read
            // its numbers from text.
            let event = serde_json::from_str::<serde_json::Value>(&json)
                .and_then(serde_json::from_value)
                .map_err(|e| self.damaged(format!("event {seq} of run {run}"), e))?;
            Ok((at_us, event))
        })
        .collect()
    }

    /// The one run that a prefix means. A whole id means itself, even where it begins another.
    fn resolve(&self, prefix: &str) -> Result<RunId, JournalError> {
        let sql = "SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1 \
                   ORDER BY run = ?1 DESC, started_us DESC LIMIT ?2";
        let mut query = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let found: Vec<String> = query
            .query_map(params![prefix, CANDIDATES], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(|e| self.failed(e))?;
        match found.as_slice() {
            [] => Err(JournalError::UnknownRun {
                prefix: prefix.to_owned(),
            }),
            [first, others @ ..] if others.is_empty() || first == prefix => {
                first.parse().map_err(|e| self.damaged(format!("run {first}"), e))
            }
            _ => Err(JournalError::AmbiguousRun {
                prefix: prefix.to_owned(),
                candidates: found,
            }),
        }
    }

    fn failed(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Store {
            doing: "read",
            path: self.path.clone(),
            source,
        }
    }

    fn damaged(
        &self,
        what: String,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> JournalError {
        JournalError::Damaged {
            path: self.path.clone(),
            what,
            source: source.into(),
        }
    }
}

fn plan_of(run: &RunId) -> String {
    format!("plan of run {run}")
}

/// Makes the file before `SQLite` does, because `SQLite` would make it readable for all; the log files that it puts
/// beside take over the file's permissions.
fn create(path: &Path) -> Result<(), JournalError> {
    let failed = |path: &Path, source| JournalError::Create {
        path: path.to_owned(),
        source,
    };
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| failed(directory, source))?;
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(failed(path, source)),
        _ => Ok(()),
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<Result<RunSummary, NameError>> {
    let run = match row.get::<_, String>("run")?.parse() {
        Ok(run) => run,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(RunSummary {
        run,
        started_us: row.get("started_us")?,
        who: row.get("who")?,
        command: row.get("command")?,
        inventory: row.get("inventory")?,
        nodes: row.get("node_count")?,
        last_us: row.get("last_us")?,
        end: end(row)?,
    }))
}

fn end(row: &Row<'_>) -> rusqlite::Result<Option<RunEnd>> {
    let Some(at_us) = row.get("ended_us")? else {
        return Ok(None);
    };
    let outcome = Outcome {
        done: row.get("done")?,
        failed: row.get("failed")?,
        not_run: row.get("not_run")?,
        interrupted: row.get("interrupted")?,
    };
    Ok(Some(RunEnd { at_us, outcome }))
}
