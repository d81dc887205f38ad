//! Reasoning on the view: the desired main.json, membership, the master's role, starts.

mod cluster_block;
mod databases;
pub(crate) mod main_json;
pub(crate) mod membership;
pub(crate) mod role_move;
pub(crate) mod startup;
pub(crate) mod unmanaged;
