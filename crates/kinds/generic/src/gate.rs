//! What generic steps wait for: a unit that runs, a port that answers.

use std::collections::BTreeMap;

use plan::{Facts, Gate, Verdict};
use protocol::facts::{TcpFact, TcpQuery, UnitQuery};
use protocol::{FactQuery, Query};
use types::HostName;

/// A port accepts connections.
pub(super) const TCP: &str = "generic.tcp";
/// A unit is active.
pub(super) const UNIT: &str = "generic.unit";

/// What the facts say of a gate that belongs to no service.
pub fn judge(gate: &Gate, facts: &Facts) -> Verdict {
    if ![TCP, UNIT].contains(&gate.check.as_str()) {
        return Verdict::Fail(format!("there is no check {:?}", gate.check));
    }
    for (host, queries) in &gate.watch {
        for query in queries {
            let verdict = match query {
                FactQuery::Tcp(query) => facts.get(host, query).map(|fact| match fact {
                    TcpFact::Open => Verdict::Pass,
                    TcpFact::Closed(why) => Verdict::Wait(format!("{}:{}: {why}", query.host, query.port)),
                }),
                FactQuery::Unit(query) => facts.get(host, query).map(|fact| match fact.active.as_str() {
                    _ if fact.is_active() => Verdict::Pass,
                    "failed" => Verdict::Fail(format!("{} failed on {host}", query.name)),
                    state => Verdict::Wait(format!("{} is {state} on {host}", query.name)),
                }),
                other => return Verdict::Fail(format!("{} says nothing of {other:?}", gate.check)),
            };
            match verdict {
                Ok(Verdict::Pass) => {}
                Ok(verdict) => return verdict,
                Err(unknown) => return Verdict::Wait(unknown.to_string()),
            }
        }
    }
    Verdict::Pass
}

/// Waits until a unit is active.
pub(super) fn unit(host: &HostName, name: &str, limit_ms: u64) -> Gate {
    gate(
        UNIT,
        host,
        format!("{name} runs on {host}"),
        UnitQuery::new(name).wrap(),
        limit_ms,
    )
}

/// Waits until a port accepts connections from a host.
pub(super) fn tcp(host: &HostName, query: &TcpQuery, limit_ms: u64) -> Gate {
    let title = format!("{}:{} answers {host}", query.host, query.port);
    gate(TCP, host, title, query.wrap(), limit_ms)
}

fn gate(check: &str, host: &HostName, title: String, query: FactQuery, limit_ms: u64) -> Gate {
    Gate {
        service: None,
        check: check.to_owned(),
        host: Some(host.clone()),
        title,
        watch: BTreeMap::from([(host.clone(), vec![query])]),
        limit_ms,
    }
}
