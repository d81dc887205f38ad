//! Servers that answer four-letter words: ZooKeeper and ClickHouse Keeper.
//!
//! A word is sent over a fresh connection, the server answers in plain text and closes it
//! (<https://zookeeper.apache.org/doc/r3.8.0/zookeeperAdmin.html#sc_4lw>). A word that is not in the server's whitelist
//! is answered with a sentence that says so.

use serde::{Deserialize, Serialize};

use super::Silence;
use crate::Text;

/// Sends words, each over a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WordsQuery {
    /// Where the server listens, as seen from the host; a numeric address, a name, or
    /// [`THIS_HOST`](crate::facts::THIS_HOST).
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The words, e.g. `mntr`.
    pub words: Vec<String>,
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WordsFact {
    /// No answer, and why.
    Down(Silence),
    /// An answer to each word, in their order, without secrets; at most 1 MiB of it.
    Replies(Vec<Text>),
}
