//! Actions that the operator may consent to, each for a host.

/// Set a host's data aside and fill it again.
pub(crate) const WIPE: &str = "ssdb.wipe";
/// Restart all members at the same time.
pub(crate) const TOGETHER: &str = "ssdb.restart-all";
/// Stop a departing member without the proof that the others have its data.
pub(crate) const LEAVE: &str = "ssdb.leave";
