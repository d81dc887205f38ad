//! Why the journal cannot be used. Each error names the file, because the operator has to check it.

use std::path::PathBuf;

use thiserror::Error;

/// Why the journal could not be opened, written or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Its directory or file could not be made.
    #[error("cannot make the journal {}", path.display())]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `SQLite` failed.
    #[error("cannot {doing} the journal {}", path.display())]
    Store {
        /// What was under way: `open`, `write to`, `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What `SQLite` said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is a database of some other program.
    #[error("{} is a database, but not a journal of clusterctl", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "the journal {} has format {found}, and this clusterctl knows formats up to {known}: use a newer clusterctl, \
         or another journal",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// A row holds something that cannot be understood.
    #[error("the journal {} holds a damaged {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The row: `event 7 of run 0190…`.
        what: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No run has that id.
    #[error("no run begins with {prefix:?}")]
    UnknownRun {
        /// What was asked for.
        prefix: String,
    },
    /// Several runs have an id that begins so.
    #[error("several runs begin with {prefix:?}: {}", candidates.join(", "))]
    AmbiguousRun {
        /// What was asked for.
        prefix: String,
        /// Some of the runs, newest first.
        candidates: Vec<String>,
    },
}
