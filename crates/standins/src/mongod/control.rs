//! How a test tells a stand-in to misbehave: `standin.toml` in its data directory.
//!
//! The file is read again several times a second, so that a test can change its mind while the server runs; a
//! file that is missing or does not parse asks for nothing. Times are short by default, for a lab: a real set
//! takes ten seconds to notice a dead primary.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

/// A request to the stand-in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// This member applies what the primary wrote only so many milliseconds later.
    pub lag_ms: u64,
    /// This member takes nothing from the others: it stays in `STARTUP2`, or falls behind.
    pub never_catch_up: bool,
    /// So many seconds pass after a start before this member is `SECONDARY`.
    pub slow_start_s: u64,
    /// `replSetStepDown` finds no electable secondary, unless forced.
    pub refuse_stepdown: bool,
    /// The oplog pretends to hold no more than the last so many seconds (0: all).
    pub oplog_window_s: u32,
    /// How often members ask each other how they are.
    pub heartbeat_ms: u64,
    /// How long a primary is missed before an election.
    pub election_ms: u64,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            never_catch_up: false,
            slow_start_s: 0,
            refuse_stepdown: false,
            oplog_window_s: 0,
            heartbeat_ms: 400,
            election_ms: 2500,
        }
    }
}

impl Control {
    /// What the file in this data directory asks for.
    pub fn read(db_path: &Path) -> Self {
        let text = std::fs::read_to_string(db_path.join("standin.toml")).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// How often members ask each other how they are.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.max(20))
    }

    /// How long a primary is missed before an election.
    pub fn election(&self) -> Duration {
        Duration::from_millis(self.election_ms.max(100))
    }
}
