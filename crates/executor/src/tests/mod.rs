//! The executor on fake hosts, in simulated time.

mod conformance;
mod connections;
mod fake_cluster;
mod gates;
mod graphs;
mod lost_answers;
mod preconditions;
mod process;
mod property;
mod rollback;
mod runs;
mod setting;
mod settle;
mod trouble;
