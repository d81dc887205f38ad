//! The steps, and the tasks that several of them share.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod config_set;
pub(crate) mod failover;
pub(crate) mod leave;
pub(crate) mod pause_writes;
pub(crate) mod reapply_config;
pub(crate) mod restart;
pub(crate) mod sentinel_seed;
pub(crate) mod sentinel_set;
pub(crate) mod sentinel_start;
