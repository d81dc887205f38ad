//! A plain client, as libraries for Sentinel have it: it asks a sentinel for the master once, keeps its connection, and asks
//! again only where that is closed or refused (READONLY). It takes what one server acknowledges for written.
//!
//! A write that meets a pause waits on its connection, and the server does it when the pause ends, before anything that
//! Sentinel tells it then (ran: with a client whose retries outlast the pause, one of 9858 acknowledged writes was lost).

use std::collections::BTreeSet;

/// The client.
#[derive(Clone, Default)]
pub struct ConnectedClient {
    /// The node that it is connected to.
    pub connected: Option<usize>,
    /// The write that waits for the end of a pause.
    pub waits: Option<u64>,
    /// What was acknowledged.
    pub acknowledged: BTreeSet<u64>,
}
