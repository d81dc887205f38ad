//! Hosts outside a service that may be former members: what they are asked, and when.
//!
//! Most of them never were members, and must not learn the service's passwords. So there are two round trips:
//!
//! - First they are asked what takes no secret.
//! - Only where a unit of the service runs or starts at boot are they asked the rest. Elsewhere the service counts as
//!   not running.

use std::collections::BTreeSet;

use kit::Service;
use plan::{Facts, HostFacts};
use protocol::facts::{
    ErlangFact, FileQuery, HttpFact, MongoFact, Query as _, RespFact, Silence, SilenceKind, SsdbFact,
    UnitFact, UnitQuery,
};
use protocol::{Fact, FactError, FactQuery};
use types::HostName;

/// Why such a host is not asked.
const WHY: &str = "it was not asked: no unit of the service runs or starts at boot there";

/// The queries of the first round trip.
pub(crate) fn public_queries(service: &dyn Service, host: &HostName) -> BTreeSet<FactQuery> {
    service.queries(host).iter().filter_map(without_secrets).collect()
}

/// The queries of the second round trip; none where the host shows no trace of the service.
pub(crate) fn secret_queries(service: &dyn Service, host: &HostName, facts: &Facts) -> BTreeSet<FactQuery> {
    let queries = service.queries(host);
    if facts.unreachable(host).is_some() || !is_suspect(&queries, host, facts) {
        return BTreeSet::new();
    }
    let withheld = |query: &FactQuery| is_withheld(query, host, facts);
    queries.into_iter().filter(withheld).collect()
}

/// The answers to the queries that are withheld: files as they were read without secrets, and servers that are down.
pub(crate) fn assumed_answers(service: &dyn Service, host: &HostName, facts: &Facts) -> Option<HostFacts> {
    if facts.unreachable(host).is_some() {
        return None;
    }
    let queries = service.queries(host).into_iter();
    let withheld = queries.filter(|query| is_withheld(query, host, facts));
    let answers = withheld.map(|query| {
        let answer = match without_secrets(&query) {
            Some(asked) => facts.answer_to(host, &asked).cloned(),
            None => Some(down(&query)),
        };
        let answer = answer.unwrap_or_else(|| Err(error()));
        (query, answer)
    });
    Some(HostFacts::Observed(answers.collect()))
}

/// Whether a query takes a secret and was not asked. It was where another service, which lists the host, asks the same.
fn is_withheld(query: &FactQuery, host: &HostName, facts: &Facts) -> bool {
    !query.secrets().is_empty() && facts.answer_to(host, query).is_none()
}

/// The query without its secrets: a file is still read, with masks. `None` for a query that needs them.
fn without_secrets(query: &FactQuery) -> Option<FactQuery> {
    match query {
        FactQuery::File(file) => Some(
            FileQuery {
                secrets: Vec::new(),
                ..file.clone()
            }
            .wrap(),
        ),
        query => query.secrets().is_empty().then(|| query.clone()),
    }
}

/// Whether a unit of the service runs on a host, or starts there at boot, or may do so.
fn is_suspect(queries: &[FactQuery], host: &HostName, facts: &Facts) -> bool {
    let units: Vec<&UnitQuery> = queries
        .iter()
        .filter_map(|query| match query {
            FactQuery::Unit(unit) => Some(unit),
            _ => None,
        })
        .collect();
    let is_off =
        |unit: &UnitFact| matches!(unit.active.as_str(), "inactive" | "failed") && !unit.is_enabled();
    let is_out = |unit: &&UnitQuery| match facts.get(host, *unit) {
        Ok(unit) => !unit.exists() || is_off(unit),
        Err(_) => false,
    };
    units.is_empty() || !units.iter().all(is_out)
}

/// The answer where no server runs.
fn down(query: &FactQuery) -> Result<Fact, FactError> {
    let why = Silence {
        kind: SilenceKind::Refused,
        words: WHY.to_owned(),
    };
    match query {
        FactQuery::Resp(_) => Ok(Fact::Resp(RespFact::Down(why))),
        FactQuery::Ssdb(_) => Ok(Fact::Ssdb(SsdbFact::Down(why))),
        FactQuery::Mongo(_) => Ok(Fact::Mongo(MongoFact::Down(why))),
        FactQuery::Http(_) => Ok(Fact::Http(HttpFact::Down(why))),
        FactQuery::Erlang(_) => Ok(Fact::Erlang(ErlangFact::Down(why))),
        FactQuery::Os(_)
        | FactQuery::File(_)
        | FactQuery::Unit(_)
        | FactQuery::Package(_)
        | FactQuery::Resolve(_)
        | FactQuery::Tcp(_)
        | FactQuery::Command(_)
        | FactQuery::Words(_)
        | FactQuery::Log(_)
        | FactQuery::Candidate(_) => Err(error()),
    }
}

fn error() -> FactError {
    FactError {
        message: WHY.to_owned(),
    }
}
