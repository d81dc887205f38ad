//! Pure reasoning on what was observed.

pub(crate) mod coordination;
pub(crate) mod need;
pub(crate) mod server;
