//! The output of a command that changes nothing: the way to ask what has no protocol.

use serde::{Deserialize, Serialize};

/// Runs a command that changes nothing and reports what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandQuery {
    /// Program and arguments; no shell is involved.
    pub argv: Vec<String>,
    /// Time limit in milliseconds.
    pub limit_ms: u64,
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandFact {
    /// Exit status; 128 + N where signal N ended it, as shells count.
    pub status: i32,
    /// Standard output, at most a mebibyte; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}
