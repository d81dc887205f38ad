//! Gates: what a kind waits for, as one enum of that kind.
//!
//! A gate names its check in a plan that may be saved, so a check has a spelling, parameters included (`forgotten=10.0.0.3`).
//! A kind has one enum of its checks; it is spelled in one place ([`std::fmt::Display`]), read in one place
//! ([`FromStr`]) and judged in one place. Spellings of released versions must still be read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use plan::{Gate, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

/// A gate of a service.
pub fn gate(
    service: &ServiceName,
    check: &impl Display,
    host: Option<&HostName>,
    title: impl Into<String>,
    watch: BTreeMap<HostName, Vec<FactQuery>>,
    limit_ms: u64,
) -> Gate {
    Gate {
        service: Some(service.clone()),
        check: check.to_string(),
        host: host.cloned(),
        title: title.into(),
        watch,
        limit_ms,
    }
}

/// Judges a check by its spelling; one that the kind does not have fails, for nothing is known of what it asks.
pub fn judge<C: FromStr>(spelling: &str, judge: impl FnOnce(C) -> Verdict) -> Verdict {
    match spelling.parse() {
        Ok(check) => judge(check),
        Err(_) => Verdict::Fail(format!("there is no check {spelling:?}; plan again")),
    }
}

/// The verdict of a judgement that says what is still missing.
pub fn until(judged: Result<(), String>) -> Verdict {
    match judged {
        Ok(()) => Verdict::Pass,
        Err(missing) => Verdict::Wait(missing),
    }
}
