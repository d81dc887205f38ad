//! Taking a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A guard without the question of poisoning: a panic ends the process.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
