//! ClickHouse's own server.

pub(crate) mod queries;
pub(crate) mod replies;
