//! systemd units: what they must be told, and whether what they run is reached.

use plan::{Facts, Unknown};
use protocol::UnitVerb;
use protocol::facts::{TcpFact, TcpQuery, UnitFact, UnitQuery};
use types::HostName;

/// What must be told to systemd so that a unit neither runs nor starts at boot; empty where it does neither.
pub fn verbs_to_retire(unit: &UnitFact) -> Vec<UnitVerb> {
    let mut verbs = Vec::new();
    if unit.is_enabled() {
        verbs.push(UnitVerb::Disable);
    }
    if unit.is_active() {
        verbs.push(UnitVerb::Stop);
    }
    verbs
}

/// What must be told to systemd so that a unit runs and starts at boot; empty where it does.
///
/// A unit that is not known yet, because its package is to be installed by this plan, is enabled and started.
pub fn verbs_to_run(host: &HostName, unit: &str, facts: &Facts) -> Result<Vec<UnitVerb>, Unknown> {
    let fact = facts.get(host, &UnitQuery::new(unit))?;
    let mut verbs = Vec::new();
    if fact.stale {
        verbs.push(UnitVerb::DaemonReload);
    }
    if !fact.is_enabled() {
        verbs.push(UnitVerb::Enable);
    }
    if !fact.is_active() {
        verbs.push(UnitVerb::Start);
    }
    Ok(verbs)
}

/// Whether some of the others were asked whether they reach a port of a host, and none does.
pub fn is_reached_by_none<'h>(
    facts: &Facts,
    port: &TcpQuery,
    others: impl Iterator<Item = &'h HostName>,
) -> bool {
    let mut seen = others.filter_map(|other| facts.get(other, port).ok()).peekable();
    seen.peek().is_some() && seen.all(|fact| *fact != TcpFact::Open)
}
