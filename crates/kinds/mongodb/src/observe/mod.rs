//! Questions to the hosts, and the answers as one view.

pub(crate) mod member;
mod names;
pub(crate) mod queries;
mod replication;
pub(crate) mod replset_status;
pub(crate) mod server;
mod view;

pub(crate) use member::Member;
pub(crate) use names::Names;
pub(crate) use server::{Membership, Role, Server};
pub(crate) use view::{View, is_reached};
