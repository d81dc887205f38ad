//! The steps of the playbook.

pub(crate) mod check;
pub(crate) mod leave;
pub(crate) mod member_removal;
pub(crate) mod reload;
pub(crate) mod replicas;
pub(crate) mod restart;
pub(crate) mod verify;
pub(crate) mod zookeeper_restart;
