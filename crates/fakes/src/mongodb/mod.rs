//! A replica set that exists in memory: it answers the agent's queries and obeys its actions as the real servers do where
//! the kind relies on it. So a test can carry out a plan, stop it anywhere, and plan again; and the simulation can do so
//! at every moment, with faults.

mod change;
mod fake;
mod node;
mod replication;
mod reply;
mod set;

pub use fake::PLAY;
pub use node::{CONF, LOCK, MADE, Node, UNIT};
pub use set::{PACKAGED, Set};
