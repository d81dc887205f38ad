//! The state of a link to a master.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::Master;
use super::store::Position;

/// A link to a master.
pub(super) struct Slave {
    pub(super) master: Master,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) status: &'static str,
    pub(super) position: Position,
    pub(super) copied: u64,
    pub(super) synchronised: u64,
}

impl Slave {
    pub(super) fn new(master: Master) -> Self {
        Self {
            master,
            state: Mutex::new(State {
                status: "DISCONNECTED",
                ..State::default()
            }),
        }
    }

    /// The block that `info` shows.
    pub(super) fn stats(&self) -> String {
        let State {
            status,
            position,
            copied,
            synchronised,
        } = self.state().clone();
        let Master {
            id,
            host,
            port,
            is_mirror,
            ..
        } = &self.master;
        let kind = if *is_mirror { "mirror" } else { "sync" };
        format!(
            "slaveof {host}:{port}\n    id         : {id}\n    type       : {kind}\n    status     : {status}\n    \
             last_seq   : {}\n    copy_count : {copied}\n    sync_count : {synchronised}",
            position.last_seq
        )
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
