//! Gates: what a kind waits for, as one enum of that kind.
//!
//! A gate names its check in a plan that may be saved, so a check has a spelling, parameters included (`forgotten=10.0.0.3`).
//! A kind has one enum of its checks; it is spelled in one place ([`spell_checks`](crate::spell_checks)) and judged in one
//! place. Spellings of released versions must still be read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use plan::{Gate, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

/// A spelling that is no check of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCheck;

/// Spells an enum of checks: one line a check, from which it is written into plans and read back. A check with a parameter
/// is its prefix and the parameter's own spelling.
///
/// ```
/// #[derive(Debug, PartialEq)]
/// enum Check { Running, Committed(i64) }
/// kit::spell_checks!(Check { "running" => Running; "committed:" + Committed });
/// assert_eq!(Check::Committed(3).to_string(), "committed:3");
/// assert_eq!("committed:3".parse(), Ok(Check::Committed(3)));
/// assert_eq!("committed:x".parse::<Check>(), Err(kit::checks::UnknownCheck));
/// ```
#[macro_export]
macro_rules! spell_checks {
    ($checks:ident {
        $($spelling:literal => $name:ident $({ $field:ident: $value:literal })?),+
        $(; $($prefix:literal + $with:ident),+)? $(,)?
    }) => {
        impl std::fmt::Display for $checks {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$name $({ $field: $value })? => f.write_str($spelling),)+
                    $($(Self::$with(parameter) => write!(f, "{}{parameter}", $prefix),)+)?
                }
            }
        }

        impl std::str::FromStr for $checks {
            type Err = $crate::checks::UnknownCheck;

            fn from_str(spelling: &str) -> Result<Self, Self::Err> {
                match spelling {
                    $($spelling => return Ok(Self::$name $({ $field: $value })?),)+
                    _ => {}
                }
                $($(if let Some(parameter) = spelling.strip_prefix($prefix) {
                    return parameter.parse().map(Self::$with).map_err(|_| $crate::checks::UnknownCheck);
                })+)?
                Err($crate::checks::UnknownCheck)
            }
        }
    };
}

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

/// Why a gate fails whose process does not come: its unit has ended.
pub fn has_ended(unit: &str, host: &HostName) -> String {
    format!("{unit} on {host} has ended: `journalctl -u {unit}` tells why")
}

/// The verdict of a judgement that says what is still missing.
pub fn until(judged: Result<(), String>) -> Verdict {
    match judged {
        Ok(()) => Verdict::Pass,
        Err(missing) => Verdict::Wait(missing),
    }
}
