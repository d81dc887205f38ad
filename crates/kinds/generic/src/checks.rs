//! Gates of generic steps: a unit that runs, a port that answers.

use std::collections::BTreeMap;

use plan::{Facts, Gate, Unknown, Verdict};
use protocol::facts::{TcpFact, TcpQuery, UnitQuery};
use protocol::{FactQuery, Query};
use types::HostName;

/// A condition that a gate waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// A port accepts connections.
    Tcp,
    /// A unit is active.
    Unit,
}

kit::spell_checks!(Check { "generic.tcp" => Tcp, "generic.unit" => Unit });

/// Judges a gate that belongs to no service by the facts.
pub fn judge(gate: &Gate, facts: &Facts) -> Verdict {
    kit::checks::judge(&gate.check, |check: Check| {
        let watched = gate.watch.iter();
        let watched = watched.flat_map(|(host, queries)| queries.iter().map(move |query| (host, query)));
        let verdicts = watched.map(|(host, query)| {
            let verdict = match (check, query) {
                (Check::Tcp, FactQuery::Tcp(query)) => tcp_verdict(host, query, facts),
                (Check::Unit, FactQuery::Unit(query)) => unit_verdict(host, query, facts),
                (_, other) => Ok(Verdict::Fail(format!("{check} does not ask {other:?}"))),
            };
            verdict.unwrap_or_else(|unknown| Verdict::Wait(unknown.to_string()))
        });
        let mut open = verdicts.filter(|verdict| *verdict != Verdict::Pass);
        open.next().unwrap_or(Verdict::Pass)
    })
}

fn tcp_verdict(host: &HostName, query: &TcpQuery, facts: &Facts) -> Result<Verdict, Unknown> {
    Ok(match facts.get(host, query)? {
        TcpFact::Open => Verdict::Pass,
        TcpFact::Closed(why) => Verdict::Wait(format!("{}:{}: {why}", query.host, query.port)),
    })
}

fn unit_verdict(host: &HostName, query: &UnitQuery, facts: &Facts) -> Result<Verdict, Unknown> {
    let unit = facts.get(host, query)?;
    Ok(match unit.active.as_str() {
        _ if unit.is_active() => Verdict::Pass,
        "failed" => Verdict::Fail(format!("{} failed on {host}", query.name)),
        state => Verdict::Wait(format!("{} is {state} on {host}", query.name)),
    })
}

/// Waits until a unit is active.
pub(crate) fn unit(host: &HostName, name: &str, limit_ms: u64) -> Gate {
    let title = format!("{name} runs on {host}");
    gate(Check::Unit, host, title, UnitQuery::new(name).wrap(), limit_ms)
}

/// Waits until a port accepts connections from a host.
pub(crate) fn tcp(host: &HostName, query: &TcpQuery, limit_ms: u64) -> Gate {
    let title = format!("{}:{} answers {host}", query.host, query.port);
    gate(Check::Tcp, host, title, query.wrap(), limit_ms)
}

fn gate(check: Check, host: &HostName, title: String, query: FactQuery, limit_ms: u64) -> Gate {
    Gate {
        service: None,
        check: check.to_string(),
        host: Some(host.clone()),
        title,
        watch: BTreeMap::from([(host.clone(), vec![query])]),
        limit_ms,
    }
}
