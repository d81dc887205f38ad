//! The steps.

pub(crate) mod canary;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod leave;
pub(crate) mod restart;
