//! Points in time, as systemd prints them and as file names carry them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Microseconds since 1970, now.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Now, as it stands at the end of a backup's name: `20261124T085110Z`.
pub(crate) fn stamp() -> String {
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    let (year, month, day) = (now.year(), now.month(), now.day());
    let (hour, minute, second) = (now.hour(), now.minute(), now.second());
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Microseconds since 1970 of `Tue 2026-11-24 08:51:10.123456 UTC`, which `systemctl --timestamp=us+utc` prints.
pub(crate) fn parse_us_utc(text: &str) -> Option<i64> {
    let (_weekday, time) = text.strip_suffix(" UTC")?.split_once(' ')?;
    // An old systemd ignores the wish for microseconds, and whole seconds are not what is asked for.
    let time: DateTime = time.contains('.').then(|| time.parse().ok())??;
    let timestamp = TimeZone::UTC.to_timestamp(time).ok()?;
    Some(timestamp.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_prints_microseconds() {
        assert_eq!(
            parse_us_utc("Tue 2026-11-24 08:51:10.123456 UTC"),
            Some(1_795_510_270_123_456)
        );
        assert_eq!(
            parse_us_utc("Thu 1970-01-01 00:00:01.000000 UTC"),
            Some(1_000_000)
        );
        assert_eq!(parse_us_utc("Thu 1970-01-01 00:00:01 UTC"), None);
        assert_eq!(parse_us_utc("n/a"), None);
        assert_eq!(parse_us_utc(""), None);
    }

    #[test]
    fn a_stamp_sorts_by_time_and_fits_into_a_name() {
        let stamp = stamp();
        assert_eq!(stamp.len(), 16);
        assert!(stamp.starts_with("20") && stamp.ends_with('Z') && stamp.as_bytes()[8] == b'T');
    }
}
