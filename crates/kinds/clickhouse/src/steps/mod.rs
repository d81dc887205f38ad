//! The steps of the playbook, and the tasks that several of them share.

pub(crate) mod check;
pub(crate) mod config;
mod departing_voter;
pub(crate) mod leave;
mod member_removal;
pub(crate) mod new_replicas;
pub(crate) mod reload;
pub(crate) mod replicas;
pub(crate) mod restart;
mod servers;
pub(crate) mod start;
pub(crate) mod verify;
mod voter_list;
mod zookeeper;
pub(crate) mod zookeeper_config;
pub(crate) mod zookeeper_restart;
pub(crate) mod zookeeper_start;
