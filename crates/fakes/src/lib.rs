//! Fake clusters: services that exist in memory, for case tests and for the simulation.
//!
//! A [`FakeCluster`] is all hosts of one service as the agents on them would see and change them: files, units, and
//! processes that behave as the real servers do where the kind relies on it. A test can carry a plan out on one, stop it
//! anywhere, and plan again; the simulation does so thousands of times, with faults at every moment. What is particular to
//! a service stands in its folder; [`PLAYS`] is the list. No kind is used here: a fake answers as its server does, whatever
//! the kind hopes for.
//!
//! A fake cluster has no clock and no chance of its own: time is told to it, and so is every fault.

#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "an operation that a fake cluster does not know is a defect of the test"
)]
#![expect(
    missing_docs,
    reason = "the state of a server in memory has the names that the server itself gives it"
)]

pub mod altcraft;
pub mod clickhouse;
mod cluster;
pub mod kvrocks;
mod machine;
pub mod mongodb;
mod play;
pub mod rabbitmq;
pub mod ssdb;
#[cfg(test)]
mod tests;

pub use cluster::{FakeCluster, Fault, Pace};
pub use machine::{File, Machine, Unit};
pub use play::Play;

/// What is played with each kind.
pub static PLAYS: &[Play] = &[
    altcraft::PLAY,
    clickhouse::KEEPER,
    clickhouse::ZOOKEEPER,
    kvrocks::KVROCKS,
    kvrocks::REDIS,
    mongodb::PLAY,
    rabbitmq::PLAY,
    ssdb::PLAY,
];
