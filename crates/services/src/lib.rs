//! What each kind of service must get right, and nothing of how it is done.
//!
//! A kind reads its settings, says which facts it needs of each host, and turns settings and facts into the tasks
//! of each step of its playbook. All of it is pure: no clock, no file, no network, so that every situation a
//! cluster can be in is a value that a test can write down. Kinds know nothing of each other, and nobody else
//! matches on a kind.
//!
//! A new kind is a folder here, with two lines in this file: its `mod` and its place in [`KINDS`]; and a place in `world::PLAYS`, so that the
//! simulation plays it.

mod altcraft;
mod clickhouse;
mod common;
#[doc(hidden)]
pub mod fuzzing;
pub mod generic;
mod kind;
mod kvrocks;
mod mongodb;
mod offer;
mod rabbitmq;
mod ssdb;
mod step;

#[cfg(test)]
mod testing;
#[cfg(any(test, feature = "worlds"))]
pub mod world;

pub use kind::{Kind, ReadCx, Service, kind_of, read_service};
pub use offer::{Endpoint, Login, Offer};
pub use step::{Cx, Step, StepPlan, Task};

/// Every kind.
pub static KINDS: &[&dyn Kind] = &[
    &altcraft::Altcraft,
    &clickhouse::ClickHouse,
    &kvrocks::Kvrocks,
    &mongodb::MongoDb,
    &rabbitmq::RabbitMq,
    &ssdb::Ssdb,
];
