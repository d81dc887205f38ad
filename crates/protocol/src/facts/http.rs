//! Servers that speak HTTP without TLS, such as ClickHouse (<https://clickhouse.com/docs/interfaces/http>).

use serde::{Deserialize, Serialize};
use types::SecretId;

use super::Silence;
use crate::Text;

/// Sends one request that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HttpQuery {
    /// Where the server listens, as seen from the host, and who asks.
    pub at: HttpEndpoint,
    /// The request.
    pub request: HttpRequest,
    /// How long the whole answer may take, in milliseconds.
    pub limit_ms: u64,
}

/// A server, and the account that is used there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HttpEndpoint {
    /// A numeric address, a name, or [`THIS_HOST`](crate::facts::THIS_HOST).
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The account for basic authentication; without one the request carries none.
    pub account: Option<HttpAccount>,
}

/// An account of basic authentication.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HttpAccount {
    /// Its name; a colon cannot be part of it.
    pub user: String,
    /// Its password; `None` for an empty one.
    pub password: Option<SecretId>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HttpRequest {
    /// How it is sent.
    pub method: HttpMethod,
    /// Path and query string, e.g. `/ping`.
    pub path: String,
    /// The body of a POST.
    pub body: Text,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HttpMethod {
    /// GET, without a body.
    Get,
    /// POST.
    Post,
}

impl HttpMethod {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl HttpRequest {
    /// Gets a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: HttpMethod::Get,
            path: path.into(),
            body: Text::default(),
        }
    }

    /// Posts a body to a path.
    pub fn post(path: impl Into<String>, body: impl Into<Text>) -> Self {
        Self {
            method: HttpMethod::Post,
            path: path.into(),
            body: body.into(),
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpFact {
    /// No answer that is HTTP, and why.
    Down(Silence),
    /// An answer, whatever its status.
    Reply {
        /// The status code.
        status: u16,
        /// The body without secrets, at most 1 MiB of it; bytes that are not UTF-8 are replaced.
        body: Text,
    },
}

impl HttpFact {
    /// The body of a reply with status 200.
    pub fn ok(&self) -> Option<&str> {
        match self {
            Self::Reply { status: 200, body } => Some(body.as_str()),
            _ => None,
        }
    }
}
