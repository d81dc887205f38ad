//! The mongod stand-in from outside: several servers in this process, asked over loopback in MongoDB's protocol.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bootstrap;
mod conformance;
mod elections;
mod harness;
mod process;
mod reconfig;
mod replication;
