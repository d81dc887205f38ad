//! How a test tells a stand-in to misbehave: `standin.toml` in its data directory.
//!
//! The file is read again several times a second, so that a test can change its mind while the server runs; a
//! file that is missing or does not parse asks for nothing. Times are short by default, for a lab; with
//! `STANDIN_MONGOD_TIMES=real` in its environment a stand-in takes those of a real server, and the file still wins.
//! `real:7` draws the times of its elections from the seed 7 instead of by chance.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// A request to the stand-in itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
    /// What this member knows of the others stays as it is, whatever their heartbeats say.
    pub deaf: bool,
    /// How often members ask each other how they are (2000 on a real server, 400 in the lab).
    pub heartbeat_ms: Option<u64>,
    /// How long a primary is missed before an election (10000, 2500).
    pub election_ms: Option<u64>,
    /// How long a secondary that is told to stop goes on before it does (15000, 0).
    pub quiesce_ms: Option<u64>,
    /// Whether the only voter of several members waits like the others before it stands (yes, no).
    pub lone_voter_waits: Option<bool>,
    /// The times that are not said above.
    #[serde(skip)]
    times: Times,
}

/// Whose times a stand-in keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    /// Short ones, for a lab.
    #[default]
    Lab,
    /// A real server's; elections by chance, or as a seed draws them.
    Real(Option<u64>),
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is neither \"real\" nor \"real:SEED\"");
        match text.split_once(':') {
            None if text == "real" => Ok(Self::Real(None)),
            Some(("real", seed)) => seed
                .parse()
                .map(|seed| Self::Real(Some(seed)))
                .map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl Control {
    /// What the file in this data directory asks for, in these times.
    pub fn read(db_path: &Path, times: Times) -> Self {
        let text = std::fs::read_to_string(db_path.join("standin.toml")).unwrap_or_default();
        let asked: Self = toml::from_str(&text).unwrap_or_default();
        Self { times, ..asked }
    }

    fn time(&self, asked: Option<u64>, real: u64, lab: u64) -> Duration {
        let usual = match self.times {
            Times::Lab => lab,
            Times::Real(_) => real,
        };
        Duration::from_millis(asked.unwrap_or(usual))
    }

    /// How often members ask each other how they are.
    pub fn heartbeat(&self) -> Duration {
        self.time(self.heartbeat_ms, 2000, 400)
            .max(Duration::from_millis(20))
    }

    /// How often a member looks after itself: often enough to hear soon what a test asks for.
    pub fn tick(&self) -> Duration {
        (self.heartbeat() / 4).min(Duration::from_millis(250))
    }

    /// How long a primary is missed before an election.
    pub fn election(&self) -> Duration {
        self.time(self.election_ms, 10_000, 2500)
            .max(Duration::from_millis(100))
    }

    /// By how much of that time a member's election in a term comes later. 0.7 is the longest that was seen of a real
    /// server: 17 s.
    pub fn spread(&self, member: i32, term: i64) -> f64 {
        match self.times {
            Times::Lab => 0.3 * rand::random::<f64>(),
            Times::Real(None) => 0.7 * rand::random::<f64>(),
            Times::Real(Some(seed)) => {
                let mut hasher = DefaultHasher::new();
                (seed, member, term).hash(&mut hasher);
                0.7 * f64::from(u8::try_from(hasher.finish() % 256).unwrap_or(0)) / 255.0
            }
        }
    }

    /// How long a secondary that is told to stop goes on before it does.
    pub fn quiesce(&self) -> Duration {
        self.time(self.quiesce_ms, 15_000, 0)
    }

    /// Whether the only voter of several members waits like the others before it stands.
    pub fn lone_voter_waits(&self) -> bool {
        self.lone_voter_waits.unwrap_or(self.times != Times::Lab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_labs_unless_real_ones_are_asked_for_and_the_file_wins() {
        let dir = tempfile::tempdir().unwrap();
        let times = |times| {
            let control = Control::read(dir.path(), times);
            let [heartbeat, election, quiesce] =
                [control.heartbeat(), control.election(), control.quiesce()].map(|time| time.as_millis());
            (heartbeat, election, quiesce, control.lone_voter_waits())
        };
        assert_eq!(times(Times::Lab), (400, 2500, 0, false));
        assert_eq!(times(Times::Real(None)), (2000, 10_000, 15_000, true));
        std::fs::write(dir.path().join("standin.toml"), "quiesce_ms = 700\n").unwrap();
        assert_eq!(times(Times::Real(None)).2, 700);
        assert_eq!(times(Times::Lab).2, 700);
    }

    #[test]
    fn a_seed_draws_the_times_of_elections() {
        let control = |times: &str| Control {
            times: times.parse().unwrap(),
            ..Control::default()
        };
        let drawn = |seed: &str| {
            (0..40)
                .map(|term| control(seed).spread(1, term))
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn("real:7"), drawn("real:7"));
        assert_ne!(drawn("real:7"), drawn("real:8"));
        assert!(drawn("real:7").iter().any(|share| *share > 0.5));
        assert!(drawn("real:7").iter().all(|share| (0.0..=0.7).contains(share)));
        "fast".parse::<Times>().unwrap_err();
    }
}
