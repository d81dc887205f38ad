//! A client's connection, and how far its login is.

use std::net::SocketAddr;

use crate::mongod::rights::User;
use crate::mongod::scram::{Credentials, ServerExchange};

/// One client's connection.
pub(in crate::mongod) struct Session {
    /// Where the client is.
    pub from: SocketAddr,
    /// The connection's number.
    pub id: i32,
    /// The users that have logged in on it.
    pub users: Vec<User>,
    /// A login that is going on.
    pub(super) sasl: Option<Conversation>,
}

impl Session {
    /// A connection that nobody has logged in on.
    pub(in crate::mongod) fn new(from: SocketAddr, id: i32) -> Self {
        Self {
            from,
            id,
            users: Vec::new(),
            sasl: None,
        }
    }
}

/// A login between its messages.
pub(super) struct Conversation {
    pub(super) exchange: ServerExchange,
    pub(super) credentials: Credentials,
    pub(super) user: User,
    pub(super) skip_empty: bool,
    pub(super) proven: bool,
}
