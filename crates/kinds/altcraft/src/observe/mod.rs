//! Questions to the hosts, their answers decoded once, and one view of them all.

mod log_line;
mod member;
pub(crate) mod queries;
mod run;
mod view;

pub(crate) use member::{FileTrouble, Member};
pub(crate) use run::Run;
pub(crate) use view::View;
