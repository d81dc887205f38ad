//! Answers of servers that speak HTTP, without the secrets in them.

use std::time::{Duration, Instant};

use protocol::FactError;
use protocol::facts::{HttpFact, HttpQuery};

use crate::http::{self, HttpError};
use crate::secrets::Secrets;

pub(super) fn observe(secrets: &Secrets, query: &HttpQuery) -> Result<HttpFact, FactError> {
    let until = Instant::now() + Duration::from_millis(query.limit_ms);
    match http::ask(secrets, &query.at, &query.request, until) {
        Ok(reply) => Ok(HttpFact::Reply {
            status: reply.status,
            body: secrets.conceal_lossy(&reply.body),
        }),
        Err(HttpError::Down(why)) => Ok(HttpFact::Down(why)),
        Err(error @ HttpError::Text(_)) => Err(super::error(error)),
    }
}
