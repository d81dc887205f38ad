//! The executor on fake hosts, in simulated time.

mod connections;
mod runs;
mod trouble;
mod world;
