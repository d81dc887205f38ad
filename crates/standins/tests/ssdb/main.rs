//! The stand-in of SSDB: what it does, and whether it answers as a recorded server did.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod behaviour;
mod conformance;
mod harness;
mod tables;
