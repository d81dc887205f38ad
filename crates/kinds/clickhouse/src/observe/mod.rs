//! What is asked of each host, and what the answers say.

pub(crate) mod queries;
pub(crate) mod server;
