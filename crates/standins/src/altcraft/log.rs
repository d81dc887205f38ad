//! The log: an object of JSON a line, as the runbook shows them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version that the runbook's lines have.
pub(super) const VERSION: &str = "v2023.3.65.2060";

/// A process's log.
pub(super) struct Log {
    file: File,
    proc: &'static str,
}

impl Log {
    pub(super) fn open(path: &Path, proc: &'static str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, proc })
    }

    /// Writes a line.
    pub(super) fn say(&mut self, level: &str, host_id: &str, source: &str, message: &str) -> io::Result<()> {
        let line = serde_json::json!({
            "level": level,
            "proc": self.proc,
            "pid": std::process::id(),
            "hid": host_id,
            "ver": VERSION,
            "file": source,
            "time": now(),
            "message": message,
        });
        writeln!(self.file, "{line}")
    }
}

/// The time in UTC, in seconds, as RFC 3339 has it.
fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Year, month and day of a day since 1970: whole years first, then whole months.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(19_647), (2023, 10, 17));
        assert_eq!(date(19_782), (2024, 2, 29));
    }
}
