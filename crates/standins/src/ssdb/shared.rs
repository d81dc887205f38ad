//! The state that all threads of the server share.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::Config;
use super::log::Log;
use super::slave::Slave;
use super::store::Store;

/// What all threads share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) log: Log,
    pub(super) store: Mutex<Store>,
    pub(super) slaves: Vec<Slave>,
    /// What `gethostbyname` found last, for whichever thread.
    pub(super) found: Mutex<Option<IpAddr>>,
    pub(super) clients: Mutex<Vec<Arc<Client>>>,
    pub(super) links: AtomicU64,
    pub(super) calls: AtomicU64,
}

/// A slave that is connected.
pub(super) struct Client {
    pub(super) at: String,
    pub(super) is_mirror: bool,
    pub(super) state: Mutex<(&'static str, u64)>,
}

impl Client {
    pub(super) fn set(&self, status: &'static str, last_seq: u64) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (status, last_seq);
    }

    pub(super) fn stats(&self) -> String {
        let (status, last_seq) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if self.is_mirror { "mirror" } else { "sync" };
        format!(
            "client {}\n    type     : {kind}\n    status   : {status}\n    last_seq : {last_seq}",
            self.at
        )
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the data.
    pub(super) fn store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock())
    }

    /// Reads the data and the binlog as trimmed as it is.
    pub(super) fn trimmed<T>(&self, look: impl FnOnce(&Store) -> T) -> io::Result<T> {
        let mut store = self.lock();
        store.trim()?;
        Ok(look(&store))
    }

    /// Changes the data.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        change(&mut self.lock())
    }
}
