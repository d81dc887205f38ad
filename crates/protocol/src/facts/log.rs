//! Log files: the last lines that match.
//!
//! What a process said when it started is in its log and nowhere else. Only the end of a file is read: a log may have
//! any size, and what was long ago decides nothing.

use serde::{Deserialize, Serialize};

use crate::Text;

/// Asks for the last lines of a file that match patterns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogQuery {
    /// Absolute path; a symbolic link is followed, as logs that are rotated often are one.
    pub path: String,
    /// Regular expressions; each is asked by itself.
    pub patterns: Vec<String>,
    /// How many matching lines are wanted of each.
    pub last: u32,
    /// How many bytes from the end of the file are read.
    pub tail: u64,
}

/// The lines, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFact {
    /// There is no such file.
    Absent,
    /// For each pattern the last lines that match, the oldest first; a long line is cut.
    Lines(Vec<Vec<Text>>),
}
