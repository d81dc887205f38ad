//! Questions to the hosts, their answers decoded once, and one view of them all.

mod addresses;
mod engine;
mod member;
pub(crate) mod queries;
mod sentinel;
mod view;

pub(crate) use addresses::is_loopback;
pub(crate) use engine::{Content, Endpoint, Engine, NOBODY};
pub(crate) use member::Member;
pub(crate) use sentinel::Instance;
pub(crate) use view::{View, Watch};
