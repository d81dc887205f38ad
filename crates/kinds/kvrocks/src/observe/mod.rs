//! Questions to the hosts, and what their answers say.

pub(crate) mod queries;
pub(crate) mod replies;
pub(crate) mod view;
