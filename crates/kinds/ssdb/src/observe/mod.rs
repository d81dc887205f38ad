//! The questions to hosts, their answers, and the view that these make.

pub(crate) mod queries;
mod replies;
mod view;

pub(crate) use replies::{Info, Link};
pub(crate) use view::{Member, View};
