//! Pure reasoning on the view, and the tasks that several steps share.

pub(crate) mod commands;
pub(crate) mod consents;
pub(crate) mod contact;
pub(crate) mod cookie;
pub(crate) mod health;
pub(crate) mod last_copy;
pub(crate) mod membership;
pub(crate) mod preconditions;
pub(crate) mod stale_config;
