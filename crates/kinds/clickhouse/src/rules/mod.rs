//! Pure reasoning on the view.

pub(crate) mod availability;
pub(crate) mod coordination;
pub(crate) mod doubt;
pub(crate) mod file_change;
pub(crate) mod need;
pub(crate) mod server;
