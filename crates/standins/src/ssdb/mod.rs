//! A stand-in for ssdb-server 1.9: keys and values, and mirrors of them.
//!
//! What it does otherwise than one expects is what the real one does (its documentation and source, and what was seen
//! on a running one): it exits with status 1 on a space in its file, a short password or a missing `work_dir`; it takes
//! `capacity` below `binlog` only; it loses the last character of a last line without a newline; with `-d` its parent
//! says 0 before anything can fail, and a left pid file stops it; it tries a lost master every 5 s; a wrong password
//! leaves a link at INIT; a mirror passes on what clients write, and not what it got from another mirror, and tells
//! where it stands when it has been idle for 3 s; it forgets changes beyond its capacity, and a mirror that needs them,
//! or that remembers more than there were, is `OUT_OF_SYNC`.
//!
//! A file `stall` in its `work_dir` makes it misbehave: the links to the masters whose ids the file names (or all, with
//! `*`) say SYNC and take in nothing more until they connect again. The file is removed when that has begun.

pub mod cli;
mod commands;
pub mod config;
mod feed;
mod follow;
mod info;
mod item;
mod link;
pub mod log;
pub mod message;
mod serve;
mod shared;
mod slave;
mod store;

pub use serve::{ServeError, Server, in_short};
