//! ClickHouse servers: their files, their health, and what they hold.

pub(crate) mod config_files;
pub(crate) mod config_xml;
pub(crate) mod drop_replica;
mod files;
pub(crate) mod former_member;
pub(crate) mod health;
pub(crate) mod macros;
pub(crate) mod new_replica;
pub(crate) mod own_file;
pub(crate) mod schema_copy;
pub(crate) mod shape;
