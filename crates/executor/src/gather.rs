//! Observing: one round trip to each host, all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use plan::{Facts, HostFacts};
use protocol::FactQuery;
use tokio::time::timeout;
use transport::{ConnectError, Session, SessionError};
use types::HostName;

use crate::connections::{Connections, no_answer};

/// How long an agent may take for what has no time limit of its own.
const LIMIT: Duration = Duration::from_mins(1);

/// How often a host is asked where its connection turns out to be lost: it may have died unnoticed long ago.
const ATTEMPTS: u32 = 2;

/// How often a connection to a host is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As often as the connections' retry policy says.
    Usual,
    /// Once: the caller observes again anyway.
    None,
}

/// Asks each host its queries. A host that cannot be reached is reported as such; it ends nothing.
pub async fn gather(connections: &Connections, queries: BTreeMap<HostName, Vec<FactQuery>>) -> Facts {
    gather_with(connections, queries, Patience::Usual).await
}

/// The same, with as much patience for connections.
pub(crate) async fn gather_with(
    connections: &Connections,
    queries: BTreeMap<HostName, Vec<FactQuery>>,
    patience: Patience,
) -> Facts {
    let answers = queries.into_iter().map(|(host, queries)| async move {
        let observed = observe(connections, &host, queries, patience).await;
        (host, observed.unwrap_or_else(HostFacts::Unreachable))
    });
    let mut facts = Facts::default();
    for (host, observed) in join_all(answers).await {
        facts.add(host, observed);
    }
    facts
}

async fn observe(
    connections: &Connections,
    host: &HostName,
    queries: Vec<FactQuery>,
    patience: Patience,
) -> Result<HostFacts, String> {
    let mut lost = String::new();
    for _ in 0..ATTEMPTS {
        let session = match patience {
            Patience::Usual => connections.session(host).await,
            Patience::None => connections.session_at_once(host).await,
        };
        let session = session.map_err(|error| describe(&error))?;
        match ask(&session, queries.clone()).await? {
            Ok(answers) => return Ok(HostFacts::Observed(queries.into_iter().zip(answers).collect())),
            Err(error @ SessionError::Lost(_)) => lost = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(lost)
}

type Answers = Vec<Result<protocol::Fact, protocol::FactError>>;

/// Asks, for as long as the agent may take. The outer error is the agent's silence: asking again would only take as
/// long again.
async fn ask(session: &Session, queries: Vec<FactQuery>) -> Result<Result<Answers, SessionError>, String> {
    let limit = LIMIT + longest(&queries);
    if let Ok(answers) = timeout(limit, session.gather(queries)).await {
        return Ok(answers);
    }
    // Others may wait for an action that takes its time: then the connection is theirs.
    if session.is_idle() {
        session.abandon(&no_answer(limit));
    }
    Err(no_answer(limit))
}

/// The longest time that a query gives itself.
fn longest(queries: &[FactQuery]) -> Duration {
    let limits = queries.iter().filter_map(|query| match query {
        FactQuery::Command(query) => Some(Duration::from_millis(query.limit_ms)),
        _ => None,
    });
    limits.max().unwrap_or_default()
}

/// Why there is no connection, and what to do about it.
pub(crate) fn describe(error: &ConnectError) -> String {
    match error.hint.as_str() {
        "" => error.message.clone(),
        hint => format!("{} ({hint})", error.message),
    }
}
