//! mongod, as far as a replica set needs it.

pub mod config;
pub mod control;
pub mod errors;
pub mod keyfile;
pub mod log;
pub mod oplog;
pub mod optime;
pub mod query;
pub mod scram;
pub mod store;
pub mod wire;
