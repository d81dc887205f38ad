//! ClickHouse servers: their files, and what they hold.

pub(crate) mod config;
pub(crate) mod files;
pub(crate) mod former;
