//! The steps of the playbook, one file each.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod initiate;
pub(crate) mod keyfile;
pub(crate) mod leave;
pub(crate) mod members;
pub(crate) mod restart;
pub(crate) mod start;
mod tasks;
pub(crate) mod users;
