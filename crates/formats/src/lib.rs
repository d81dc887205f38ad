//! The file formats of services: read, compared and edited, without any decision of what should stand in them.
//!
//! The files are the operator's: an editor sets what it is told to set, and every other byte stays. References to
//! secrets are ordinary characters here.

mod aliases;
pub mod directives;
pub mod engine;
mod lines;
pub mod main_json;
pub mod mark;
pub mod mongod_conf;
pub mod rabbitmq_conf;
pub mod replset;
pub mod ssdb_conf;
pub mod xml;
pub mod zoo;

pub use lines::lines;
