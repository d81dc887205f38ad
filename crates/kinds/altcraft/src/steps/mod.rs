//! The steps of the playbook.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod leave;
pub(crate) mod restart;
