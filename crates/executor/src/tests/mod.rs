//! The executor on fake hosts, in simulated time.

mod runs;
mod world;
