//! Pauses: hosts and services at which nothing is done for a while, and until when.

use toml_datetime::{Date, Datetime, Offset, Time};
use types::{Diagnostic, Span};

use crate::findings::{Findings, wrong_value};
use crate::reader::Reader;
use crate::value::{Value, ValueKind};

/// How a pause is written.
const EXAMPLE: &str = "paused = { reason = \"its disk is replaced\", until = \"2026-12-24T08:00:00Z\" }";

/// A pause of a host or of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why nothing is done there.
    pub reason: String,
    /// When it is over; `None` where it lasts until the key is removed.
    pub until: Option<Until>,
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    /// As it is written.
    pub text: String,
    /// In microseconds since 1970.
    pub at_us: i64,
}

impl Pause {
    /// Whether it is over at a moment, in microseconds since 1970.
    pub fn is_over(&self, now_us: i64) -> bool {
        self.until.as_ref().is_some_and(|until| until.at_us <= now_us)
    }
}

/// Reads the key `paused`.
pub(super) fn read(reader: &Reader<'_>, findings: &Findings) -> Option<Pause> {
    let value = reader.value("paused")?;
    let ValueKind::Table(table) = &value.kind else {
        let diagnostic = wrong_value("paused", value.span, "a table", &value.kind);
        findings.report(diagnostic.hint(EXAMPLE));
        return None;
    };
    let pause = Reader::new(table, "a key of a pause", findings);
    let reason = pause.required("reason", pause.string("reason"), EXAMPLE);
    let until = pause.value("until").map(|value| until(value, findings));
    pause.finish();
    let reason = reason.filter(|reason| {
        let is_empty = reason.trim().is_empty();
        if is_empty {
            let span = table.get("reason").map_or(table.span, |entry| entry.value.span);
            let diagnostic = Diagnostic::error("the reason of the pause is empty");
            findings.report(diagnostic.at(span, "plan and status show it").hint(EXAMPLE));
        }
        !is_empty
    })?;
    Some(Pause {
        reason: reason.trim().to_owned(),
        until: until.flatten(),
    })
}

fn until(value: &Value, findings: &Findings) -> Option<Until> {
    let (ValueKind::String(text) | ValueKind::Datetime(text)) = &value.kind else {
        let expected = "a date with a time and its zone";
        findings.report(wrong_value("until", value.span, expected, &value.kind).hint(EXAMPLE));
        return None;
    };
    let Ok(Datetime { date, time, offset }) = text.parse::<Datetime>() else {
        return report(value.span, "is not a date with a time", findings);
    };
    let (Some(date), Some(time)) = (date, time) else {
        return report(value.span, "is not a date with a time", findings);
    };
    let Some(offset) = offset else {
        return report(
            value.span,
            "has no time zone: end it with Z, or with an offset such as +02:00",
            findings,
        );
    };
    Some(Until {
        text: text.clone(),
        at_us: microseconds(date, time, offset),
    })
}

fn report(span: Span, what: &str, findings: &Findings) -> Option<Until> {
    let diagnostic = Diagnostic::error("invalid value for until").at(span, what);
    findings.report(diagnostic.hint(EXAMPLE));
    None
}

/// Microseconds since 1970, by the Gregorian calendar. Years are counted from March on, so that leap days end them.
fn microseconds(date: Date, time: Time, offset: Offset) -> i64 {
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + i64::from(date.day) - 1 - DAYS_TO_1970;
    let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute);
    let minutes = match offset {
        Offset::Z => minutes,
        Offset::Custom { minutes: ahead } => minutes - i64::from(ahead),
    };
    (minutes * 60 + i64::from(time.second.unwrap_or(0))) * 1_000_000
}

/// Days from 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;
