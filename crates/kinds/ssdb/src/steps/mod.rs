//! The steps, a file each; the restart of a rebuilt member has a file of its own.

pub(crate) mod canary;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod directory;
pub(crate) mod forget;
pub(crate) mod leave;
pub(crate) mod link;
mod overtake;
pub(crate) mod restart;
pub(crate) mod start;
