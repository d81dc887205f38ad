//! Servers that speak RESP: Redis, Valkey, Kvrocks and Redis Sentinel.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/> (RESP2, which all of them speak).

use serde::{Deserialize, Serialize};
use types::SecretId;

use super::Silence;
use crate::Text;

/// Connects, authenticates where a password is named, and sends commands that change nothing, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RespQuery {
    /// Where the server listens, as seen from the host; a numeric address or a name.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The password for AUTH. A server without a password answers too, and [`RespFact::Replies`] says so.
    pub password: Option<SecretId>,
    /// The commands.
    pub commands: Vec<RespCommand>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RespCommand {
    /// Its name and arguments.
    pub args: Vec<Text>,
    /// Whether the reply holds secrets: then each string in it that is not one of the arguments is reported as the
    /// reference of the secret in `known` that it equals, or else as `⟪kept:0+LEN⟫`. An empty string stays one.
    pub sensitive: bool,
    /// The secrets that may be recognised in a sensitive reply.
    pub known: Vec<SecretId>,
}

impl RespCommand {
    /// A command whose reply holds no secret.
    pub fn new<T: Into<Text>>(args: impl IntoIterator<Item = T>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            sensitive: false,
            known: Vec::new(),
        }
    }

    /// Marks the reply as sensitive, with the secrets that may be recognised in it.
    #[must_use]
    pub fn sensitive<'a>(mut self, known: impl IntoIterator<Item = &'a SecretId>) -> Self {
        self.sensitive = true;
        self.known = known.into_iter().cloned().collect();
        self
    }
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RespFact {
    /// No answer, and why.
    Down(Silence),
    /// The server refused the password, or asks for one where none was named; with its words.
    Denied(String),
    /// A reply for each command.
    Replies {
        /// Whether the password was accepted; `false` where the server has none set, or none was named.
        authenticated: bool,
        /// The replies, in the order of the commands.
        replies: Vec<RespValue>,
    },
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RespValue {
    /// Nothing (a null bulk string or array).
    Nil,
    /// A number.
    Int(i64),
    /// A simple or bulk string; bytes that are not UTF-8 are replaced.
    Str(Text),
    /// An array.
    List(Vec<RespValue>),
    /// An error, in the server's words.
    Error(String),
}

impl RespValue {
    /// The string where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The elements where it is an array.
    pub fn as_list(&self) -> Option<&[RespValue]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The words where it is an error.
    pub fn as_error(&self) -> Option<&str> {
        match self {
            Self::Error(words) => Some(words),
            _ => None,
        }
    }

    /// A flat array of names and values (CONFIG GET, SENTINEL MASTER) as pairs.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        let items = self.as_list().unwrap_or_default();
        items
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
            .collect()
    }
}
