//! Times as people read them: `2026-11-03 10:15:00` and `3 h ago`, `41.0 s` and `3 min 05 s`.
//!
//! All times are microseconds since 1970. What time it is now, and in which zone, comes in as a [`Clock`].

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, here.
#[derive(Debug, Clone)]
pub struct Clock {
    /// What time it is, microseconds since 1970.
    pub now_us: i64,
    /// The zone that times are shown in.
    pub zone: TimeZone,
}

impl Clock {
    /// The system's clock and zone.
    pub fn system() -> Self {
        Self {
            now_us: Timestamp::now().as_microsecond(),
            zone: TimeZone::system(),
        }
    }

    /// `2026-11-03 10:15:00`, in the reader's zone.
    pub fn date_time(&self, at_us: i64) -> String {
        self.format(at_us, "%Y-%m-%d %H:%M:%S")
    }

    /// `10:15:00`, in the reader's zone.
    pub fn time(&self, at_us: i64) -> String {
        self.format(at_us, "%H:%M:%S")
    }

    /// `3 h ago`; `just now` for less than a second, and for a clock that is ahead of ours.
    pub fn ago(&self, at_us: i64) -> String {
        match self.now_us.saturating_sub(at_us) {
            ..1_000_000 => "just now".to_owned(),
            us => format!("{} ago", coarse(us)),
        }
    }

    fn format(&self, at_us: i64, format: &str) -> String {
        match Timestamp::from_microsecond(at_us) {
            Ok(at) => at
                .to_zoned_datetime(self.zone.clone())
                .strftime(format)
                .to_string(),
            Err(_) => "?".to_owned(),
        }
    }
}

/// A time for machines: RFC 3339 in UTC, with microseconds.
pub fn rfc3339(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| "?".to_owned(), |at| format!("{at:.6}"))
}

/// How long something took: `0.2 s`, `41.0 s`, `3 min 05 s`, `2 h 05 min`.
pub fn duration(us: i64) -> String {
    let us = us.max(0);
    let seconds = us / 1_000_000;
    match seconds {
        ..60 => format!("{seconds}.{} s", us % 1_000_000 / 100_000),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A time limit, without figures that say nothing: `30 s`, `5 min`, `1 h 30 min`.
pub fn limit(ms: u64) -> String {
    let (minutes, seconds) = (ms / 60_000, ms % 60_000 / 1_000);
    match (minutes, seconds) {
        (0, 0) => format!("{ms} ms"),
        (0, seconds) => format!("{seconds} s"),
        (60.., _) if minutes % 60 == 0 => format!("{} h", minutes / 60),
        (60.., _) => format!("{} h {} min", minutes / 60, minutes % 60),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// The largest unit alone, as for an age.
fn coarse(us: i64) -> String {
    let seconds = us / 1_000_000;
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_as_many_figures_as_matter() {
        let shown = [0, 250_000, 41_000_000, 185_000_000, 7_500_000_000].map(duration);
        assert_eq!(shown, ["0.0 s", "0.2 s", "41.0 s", "3 min 05 s", "2 h 05 min"]);
        let shown = [500, 30_000, 300_000, 90_000, 3_600_000, 5_400_000].map(limit);
        assert_eq!(
            shown,
            ["500 ms", "30 s", "5 min", "1 min 30 s", "1 h", "1 h 30 min"]
        );
    }

    #[test]
    fn a_time_is_told_here_and_as_an_age() {
        let clock = Clock {
            now_us: 1_700_000_000_000_000,
            zone: TimeZone::UTC,
        };
        assert_eq!(clock.date_time(1_700_000_000_000_000), "2023-11-14 22:13:20");
        assert_eq!(clock.time(1_700_000_000_000_000), "22:13:20");
        let ages = [-5, 0, 59, 3_700, 400_000].map(|s| clock.ago(clock.now_us - s * 1_000_000));
        assert_eq!(ages, ["just now", "just now", "59 s ago", "1 h ago", "4 d ago"]);
        assert_eq!(rfc3339(1_700_000_000_000_001), "2023-11-14T22:13:20.000001Z");
        assert_eq!(clock.date_time(i64::MAX), "?");
    }
}
