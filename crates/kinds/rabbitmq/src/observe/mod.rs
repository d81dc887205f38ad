//! What is asked of hosts, and what their answers say.

pub(crate) mod queues;
pub(crate) mod view;
