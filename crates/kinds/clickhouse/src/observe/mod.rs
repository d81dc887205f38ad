//! Questions to each host, and the answers, decoded once.

pub(crate) mod coordination;
pub(crate) mod queries;
pub(crate) mod server;
pub(crate) mod view;
