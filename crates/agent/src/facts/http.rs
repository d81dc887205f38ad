//! Answers of servers that speak HTTP, without the secrets in them.

use std::time::Duration;

use protocol::FactError;
use protocol::facts::{HttpFact, HttpQuery};
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::client::ClientError;
use crate::http;

pub(super) fn observe(
    secrets: &Secrets,
    query: &HttpQuery,
    share: &mut Share<'_>,
) -> Result<HttpFact, FactError> {
    let time = Time::within(Duration::from_millis(query.limit_ms));
    match http::ask(secrets, &query.at, &query.request, time, share) {
        Ok(reply) => Ok(HttpFact::Reply {
            status: reply.status,
            body: secrets.conceal_lossy(&reply.body),
        }),
        Err(ClientError::Silent(silence)) => Ok(HttpFact::Down(silence)),
        Err(error) => Err(unknown(error)),
    }
}
