//! Servers that speak SSDB's protocol.
//!
//! Protocol: <https://ideawu.github.io/ssdb-docs/redis-to-ssdb.html> and the server's own `link.cpp`: a message is
//! items, each its length, a newline, its bytes and a newline; an empty line ends it. The first item of a reply is a
//! status: `ok`, `not_found`, `error`, `fail`, `client_error`, `noauth`.

use serde::{Deserialize, Serialize};
use types::SecretId;

use super::Silence;
use crate::Text;

/// Connects, authenticates where a password is named, and sends commands that change nothing, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SsdbQuery {
    /// Where the server listens, as seen from the host; a numeric address or a name.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The password for `auth`. A server without a password answers too, and [`SsdbFact::Replies`] says so.
    pub password: Option<SecretId>,
    /// The commands.
    pub commands: Vec<SsdbCommand>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SsdbCommand {
    /// Its name and arguments.
    pub args: Vec<Text>,
    /// Whether the reply is nobody's business: then each of its items is reported as `⟪kept:0+LEN⟫`, and only their
    /// number can be known.
    pub is_private: bool,
}

impl SsdbCommand {
    /// A command whose reply may be seen.
    pub fn new<T: Into<Text>>(args: impl IntoIterator<Item = T>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            is_private: false,
        }
    }

    /// Hides what the reply says, but for its status and the number of its items.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.is_private = true;
        self
    }
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SsdbFact {
    /// No answer, and why.
    Down(Silence),
    /// The server refused the password, or asks for one where none was named; with its words.
    Denied(String),
    /// A reply for each command.
    Replies {
        /// Whether the server asks for a password: it answers to one even where it has none.
        asks_password: bool,
        /// The replies, in the order of the commands.
        replies: Vec<SsdbReply>,
    },
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsdbReply {
    /// Its first item: `ok`, `not_found`, `error`, ...
    pub status: String,
    /// The others; bytes that are not UTF-8 are replaced.
    pub items: Vec<Text>,
}

impl SsdbReply {
    /// Whether the command did what it should.
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

/// A number that a server reports and that commands raise, and how far it is to be raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsdbReach {
    /// The command whose reply has the number.
    pub command: SsdbCommand,
    /// A regular expression whose first group is the number, in any item of the reply.
    pub pattern: String,
    /// How far.
    pub at_least: u64,
}
