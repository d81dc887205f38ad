//! The steps, a file each.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod grow;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod policies;
pub(crate) mod restart;
pub(crate) mod start;
pub(crate) mod stop;
mod trial;
pub(crate) mod users;
pub(crate) mod vhosts;
