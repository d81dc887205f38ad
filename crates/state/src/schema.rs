//! The tables, and how a file of an older format becomes one of today's.
//!
//! The format is the number of migrations that a file has been through, kept in `SQLite`'s `user_version`. A released
//! migration never changes: a new format is a new entry at the end, and a file of the old one under
//! `tests/golden/`. A new kind of event, or a changed one, is a new format too.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::JournalError;

/// How long a writer waits for another process that is writing. Writes take well under a millisecond.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE runs (
        run         TEXT    NOT NULL PRIMARY KEY,
        started_us  INTEGER NOT NULL,
        who         TEXT    NOT NULL,
        command     TEXT    NOT NULL,
        inventory   TEXT    NOT NULL,
        node_count  INTEGER NOT NULL,
        nodes       TEXT    NOT NULL, -- JSON: [{node, host, title, needs, disrupts}]
        ended_us    INTEGER,          -- with the four below: NULL until the run ends
        done        INTEGER,
        failed      INTEGER,
        not_run     INTEGER,
        interrupted INTEGER
    ) STRICT;
    CREATE INDEX runs_by_start ON runs (started_us);
    CREATE TABLE events (
        run   TEXT    NOT NULL REFERENCES runs (run) ON DELETE CASCADE,
        seq   INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        event TEXT    NOT NULL, -- JSON
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
"];

/// Opens a connection to the file and brings the file to today's format.
pub(crate) fn connect(path: &Path) -> Result<Connection, JournalError> {
    let store = |source| JournalError::Store {
        doing: "open",
        path: path.to_owned(),
        source,
    };
    let mut connection = Connection::open(path).map_err(store)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store)?;
    let found = version(&connection).map_err(store)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(JournalError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found == 0 && is_foreign(&connection).map_err(store)? {
        return Err(JournalError::Foreign {
            path: path.to_owned(),
        });
    }
    // With a write-ahead log readers and the writer do not wait for each other, and an append is one write without
    // an fsync: it survives kill -9, and a power cut can only take the newest events. Changing the mode fails while
    // another process is at it; then that one changes it, and the mode it has now is as safe, only slower.
    let _ = connection.pragma_update(None, "journal_mode", "wal");
    connection
        .pragma_update(None, "synchronous", "normal")
        .map_err(store)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(store)?;
    if found < known {
        migrate(&mut connection).map_err(store)?;
    }
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether a file without a format has tables. Ours get the format in the same transaction as the tables.
fn is_foreign(connection: &Connection) -> rusqlite::Result<bool> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema) AND (SELECT user_version FROM pragma_user_version) = 0";
    connection.query_row(sql, [], |row| row.get(0))
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    // The write lock comes first: of two processes that find an old file, the second then sees the first one's work.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = version(&transaction)?;
    for (format, sql) in (1_i64..).zip(MIGRATIONS) {
        if format > from {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", format)?;
        }
    }
    transaction.commit()
}
