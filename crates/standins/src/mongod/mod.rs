//! A stand-in for mongod, for clusterctl's lab and tests.
//!
//! It speaks the real wire protocol, keeps its data on disk, forms replica sets that elect and replicate, and refuses
//! what the real server refuses, with the same numbers and words. What it is not: a database. It has no indexes, no
//! transactions and no query planner, and each write is flushed alone.
//!
//! Where to look: [`config`] and [`keyfile`] decide whether it starts, [`server`] serves, `commands` answers,
//! [`repl`], [`heartbeat`], [`election`] and [`sync`] are the replica set, [`oplog`] and [`store`] the data, and
//! [`control`] is how a test makes it misbehave.

mod commands;
pub mod config;
mod config_file;
pub mod control;
pub mod election;
pub mod errors;
pub mod heartbeat;
pub mod keyfile;
pub mod log;
pub mod node;
pub mod oplog;
pub mod optime;
pub mod peer;
pub mod query;
pub mod refusal;
pub mod repl;
pub mod rights;
pub mod scram;
pub mod server;
pub mod setconfig;
pub mod setmember;
pub mod show;
pub mod store;
pub mod sync;
pub mod wire;
