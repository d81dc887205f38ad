//! Whether a process runs with what a file says now, where it does not tell its live settings.

use std::fmt;

use protocol::facts::{FileFact, UnitFact};

/// Whether a unit's process runs with what a file says: the one decision of all kinds, where the process does not tell its
/// live settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It does.
    Same,
    /// The file may say something else than the process read.
    Newer(Newer),
    /// It cannot be told: nothing runs, nothing stands there, or systemd does not say when the process was started.
    Unknown,
}

/// Why a file counts as newer than a process. It completes a sentence that begins with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newer {
    /// Its content is another than when the agent started the process.
    Content,
    /// Its time is later than the start.
    Time,
    /// It was changed after the start, and has an older time, as `cp -p` and `rsync -t` give it.
    OldTime,
    /// Its time lies so many minutes ahead of the host's clock, which was set back or was wrong when the file was written.
    Ahead(i64),
}

/// The kernel gives a file the time of a clock that ticks (up to 10 ms), and a process an exact one: a file that was written
/// just after a start can bear an earlier time.
const TICK_US: i64 = 10_000;

impl Freshness {
    /// What the file of this path is to the process: what the agent noted when it started the process decides, or else the
    /// time of the file's last change. A process that was started by somebody else and a file whose owner or mode changed
    /// since are in doubt: one restart by an agent, which notes the content, ends the doubt.
    pub fn of(path: &str, file: &FileFact, unit: &UnitFact) -> Self {
        let Some(meta) = file.meta().filter(|_| unit.started_us > 0) else {
            return Self::Unknown;
        };
        if let Some(noted) = unit.started_with.iter().find(|noted| noted.path == path) {
            return if noted.is_same {
                Self::Same
            } else {
                Self::Newer(Newer::Content)
            };
        }
        let is_later = |time: i64| time.saturating_add(TICK_US) > unit.started_us;
        // No change of a file escapes its ctime. Its mtime is whatever the last writer wanted.
        let changed = if meta.changed_us > 0 {
            meta.changed_us
        } else {
            meta.modified_us
        };
        if !is_later(changed) {
            Self::Same
        } else if meta.ahead_us > 0 {
            Self::Newer(Newer::Ahead(meta.ahead_us / 60_000_000))
        } else if is_later(meta.modified_us) {
            Self::Newer(Newer::Time)
        } else {
            Self::Newer(Newer::OldTime)
        }
    }

    /// Why the file counts as newer; `None` where it does not.
    pub fn newer(self) -> Option<Newer> {
        match self {
            Self::Newer(newer) => Some(newer),
            Self::Same | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content => f.write_str("differs from what its process was started with"),
            Self::Time => f.write_str("is newer than its process"),
            Self::OldTime => f.write_str("was changed after its process started, though its time is older"),
            Self::Ahead(0) => f.write_str("has a time that lies ahead of the host's clock"),
            Self::Ahead(minutes) => {
                write!(f, "has a time that lies {minutes} min ahead of the host's clock")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::facts::{FileKind, FileMeta, StartedWith};

    fn unit(started_us: i64) -> UnitFact {
        UnitFact {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            sub: "running".to_owned(),
            enabled: "enabled".to_owned(),
            main_pid: 1,
            started_us,
            invocation: String::new(),
            stale: false,
            started_with: Vec::new(),
        }
    }

    const MIN: i64 = 60_000_000;
    const STARTED: i64 = 100 * MIN;

    /// A file whose mtime and ctime lie so many microseconds after the start, looked at ten minutes after it; and what the
    /// agent noted.
    fn freshness(modified: i64, changed: i64, noted: Option<bool>) -> Freshness {
        let mut unit = unit(STARTED);
        unit.started_with = noted
            .map(|is_same| StartedWith {
                path: "/a".to_owned(),
                is_same,
            })
            .into_iter()
            .collect();
        let (modified_us, changed_us) = (STARTED + modified, STARTED + changed);
        let file = FileFact::Present(FileMeta {
            kind: FileKind::File,
            sha256: String::new(),
            len: 0,
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            modified_us,
            changed_us,
            ahead_us: (modified_us.max(changed_us) - STARTED - 10 * MIN).max(0),
            text: None,
            target: String::new(),
            names: 0,
        });
        Freshness::of("/a", &file, &unit)
    }

    #[test]
    fn what_the_agent_noted_decides_whatever_the_times_say() {
        for times in [(-MIN, -MIN), (MIN, MIN), (60 * MIN, 60 * MIN), (-MIN, MIN)] {
            assert_eq!(freshness(times.0, times.1, Some(true)), Freshness::Same);
            assert_eq!(
                freshness(times.0, times.1, Some(false)),
                Freshness::Newer(Newer::Content)
            );
        }
    }

    #[test]
    fn without_a_note_the_last_change_decides() {
        let newer = |modified, changed| freshness(modified, changed, None).newer();
        assert_eq!(freshness(-MIN, -MIN, None), Freshness::Same);
        assert_eq!(newer(MIN, MIN), Some(Newer::Time));
        // Within the tick of the clock of files.
        assert_eq!(newer(-9_000, -9_000), Some(Newer::Time));
        // `cp -p` and `rsync -t`.
        assert_eq!(newer(-MIN, MIN), Some(Newer::OldTime));
        // Unpacked with a time of the future, before the start.
        assert_eq!(newer(60 * MIN, -MIN), None);
        // Written before the clock was set back by an hour.
        assert_eq!(newer(60 * MIN, 60 * MIN), Some(Newer::Ahead(50)));
        let why = Newer::Ahead(50).to_string();
        assert_eq!(why, "has a time that lies 50 min ahead of the host's clock");
    }

    #[test]
    fn of_what_does_not_run_or_is_not_there_nothing_is_known() {
        assert_eq!(
            Freshness::of("/a", &FileFact::Absent, &unit(STARTED)),
            Freshness::Unknown
        );
    }
}
