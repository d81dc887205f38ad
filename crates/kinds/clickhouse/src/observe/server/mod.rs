//! ClickHouse's own server.

pub(crate) mod merged;
pub(crate) mod queries;
pub(crate) mod replies;
pub(crate) mod schema;
