//! The executor on fake hosts, in simulated time.

mod before;
mod connections;
mod gates;
mod graphs;
mod lost_answers;
mod property;
mod runs;
mod trouble;
mod world;
