//! Reasoning on the view: roles, what a member needs, what must not be lost.

pub(crate) mod availability;
pub(crate) mod commands;
mod data_loss;
pub(crate) mod desired_config;
pub(crate) mod drift;
pub(crate) mod file_drift;
pub(crate) mod find_roles;
pub(crate) mod member_removal;
pub(crate) mod password;
pub(crate) mod preconditions;
pub(crate) mod replication;
pub(crate) mod role_assignment;
mod role_sources;
pub(crate) mod roles;
pub(crate) mod rollout;
mod run_time;
pub(crate) mod sentinels;
