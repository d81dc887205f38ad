//! The simulation: the planner, the executor and all kinds on services in memory, in simulated time.
//!
//! A seed decides everything: which services stand on how many hosts, how fast things go, what the operator wants, and
//! which troubles come when. So thousands of different runs are made in a minute, with crashes, reboots, partitions,
//! hand-overs and kills of the controller at every point, and any of them can be made again to the instant.
//!
//! What must hold is checked at each operation: a quorum is never lost by our doing, no more members are down by it
//! than the budget allows, nobody acts without the host's lock, and the worlds see none of the [wrongs] that they know
//! of. At each plan: a question that failed makes it end, reset, join or empty no member that the truth would not have.
//! Once all troubles are over an apply must come to an empty plan, with every value that was acknowledged to a client still
//! there.
//!
//! [`play`] plays one seed; [`Scenario`] is what a seed stands for.
//!
//! [wrongs]: fakes::FakeCluster::wrongs

mod agent;
mod apply;
mod chance;
mod doubt;
mod harm;
mod invariants;
mod network;
mod panics;
mod play;
mod project;
mod scenario;
mod secrecy;
mod shrink;
mod site;
mod troubles;
mod words;

#[cfg(test)]
mod tests;

pub use play::{Played, Settings, Tally, play};
pub use scenario::{Draw, Scenario};
pub use shrink::shrink;
