//! Reasoning on the view that steps, gates and the status share.

pub(crate) mod availability;
pub(crate) mod desired_members;
pub(crate) mod doubt;
pub(crate) mod drift;
pub(crate) mod initiation;
pub(crate) mod majority_writes;
pub(crate) mod member_blocker;
pub(crate) mod member_removal;
pub(crate) mod membership_change;
pub(crate) mod mongod_conf;
pub(crate) mod oplog;
pub(crate) mod preconditions;
pub(crate) mod process;
pub(crate) mod reconfig_plan;
pub(crate) mod set_blockers;
pub(crate) mod stored_data;
