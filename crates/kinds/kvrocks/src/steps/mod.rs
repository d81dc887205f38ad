//! The steps of the playbook, and the parts that `restart` and `leave` share: a failover, with a stop of writes, and
//! what it undoes.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod config_set;
mod failover;
pub(crate) mod leave;
mod reapply_config;
pub(crate) mod restart;
pub(crate) mod sentinel_quorum;
pub(crate) mod sentinel_seed;
pub(crate) mod sentinel_set;
pub(crate) mod sentinel_start;
mod stop_writes;
mod trial;
mod umask;
