//! Runs a step graph on the agents.
//!
//! The executor decides when, never what:
//!
//! - [`Schedule`] is its pure half: which nodes may start now, by dependencies, limits and budgets.
//! - [`run`] sends their actions, waits for gates, and reports events.
//! - [`settle`] waits between plans.
//!
//! It knows no service: a gate is judged by the [`plan::Judge`] that it is given.

mod connections;
mod gather;
mod limits;
mod node;
mod process;
mod resend;
mod rollback;
mod run;
mod schedule;
mod settle;
mod stop;
#[cfg(test)]
mod tests;

pub use connections::{Connections, LockError};
pub use gather::gather;
pub use limits::Limits;
pub use run::run;
pub use schedule::Schedule;
pub use settle::{round_pause, settle};
pub use stop::Stop;
