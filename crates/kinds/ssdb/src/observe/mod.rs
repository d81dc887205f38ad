//! The questions to hosts, their answers, and the view that these make.

pub(crate) mod queries;
pub(crate) mod replies;
pub(crate) mod view;
