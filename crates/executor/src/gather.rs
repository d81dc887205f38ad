//! Observing: one round trip to each host, all at once.

use std::collections::BTreeMap;

use futures::future::join_all;
use plan::{Facts, HostFacts};
use protocol::FactQuery;
use types::HostName;

use crate::connections::Connections;

/// Asks each host its queries. A host that cannot be reached is reported as such; it ends nothing.
pub async fn gather(connections: &Connections, queries: BTreeMap<HostName, Vec<FactQuery>>) -> Facts {
    let answers = queries.into_iter().map(|(host, queries)| async move {
        let observed = observe(connections, &host, queries).await;
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
) -> Result<HostFacts, String> {
    let session = connections
        .session(host)
        .await
        .map_err(|error| match error.hint.as_str() {
            "" => error.message,
            hint => format!("{} ({hint})", error.message),
        })?;
    let answers = session
        .gather(queries.clone())
        .await
        .map_err(|error| error.to_string())?;
    Ok(HostFacts::Observed(queries.into_iter().zip(answers).collect()))
}
