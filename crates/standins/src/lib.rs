//! Servers that stand in for real ones, for the lab and the tests only.
//!
//! No package registry carries some of the services that clusterctl clusters, so the lab's hosts run these instead:
//! under the real unit names, users, paths and configuration formats, with the real protocols and error codes, and
//! with state on disk. A stand-in is as strict as the real server where clusterctl could get something wrong, and
//! can be told to misbehave. None of this is ever shipped; each binary says what it is when asked for its version.

pub mod altcraft;
pub mod mongod;
pub mod ssdb;
