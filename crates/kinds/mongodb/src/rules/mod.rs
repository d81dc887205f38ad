//! Reasoning on the view that several steps, gates and the status share.

pub(crate) mod basis;
pub(crate) mod desired_members;
pub(crate) mod member_removal;
pub(crate) mod reconfig_plan;
pub(crate) mod stored_data;
