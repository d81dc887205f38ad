//! What is asked of the hosts, and the answers as one view.

pub(crate) mod queries;
pub(crate) mod view;
