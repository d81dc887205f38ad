//! What follows from the view: roles, what becomes of each member, what must not be lost.

pub(crate) mod availability;
pub(crate) mod data_loss;
pub(crate) mod desired_config;
pub(crate) mod drift;
pub(crate) mod health;
pub(crate) mod member_removal;
pub(crate) mod preconditions;
pub(crate) mod role_assignment;
pub(crate) mod roles;
pub(crate) mod rollout;
pub(crate) mod run_time;
pub(crate) mod sentinel_commands;
