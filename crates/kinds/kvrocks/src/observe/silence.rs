//! What the silence of a server means, together with the state of its unit.

use plan::Unknown;
use protocol::facts::UnitFact;

use kit::Probe;

/// A server that does not answer: it is down where its unit does not run.
pub(super) fn silent<T>(unit: &Result<&UnitFact, Unknown>, words: &str) -> Probe<T> {
    match unit {
        Ok(unit) if matches!(unit.active.as_str(), "inactive" | "failed") => Probe::Down(words.to_owned()),
        _ => Probe::Unknown(words.to_owned()),
    }
}
