//! Runs a step graph on the agents.
//!
//! The executor decides when, never what. [`Schedule`] is its pure half: which nodes may start now, by dependencies,
//! limits and budgets. [`run`] is the other half: it sends actions, waits for gates, and tells events. It knows
//! no service; a gate is judged by the [`plan::Judge`] that it is given.

mod connections;
mod gather;
mod node;
mod run;
mod schedule;
mod sending;
#[cfg(test)]
mod tests;

pub use connections::{Connections, LockError};
pub use gather::gather;
pub use run::{Limits, Stop, run};
pub use schedule::Schedule;
