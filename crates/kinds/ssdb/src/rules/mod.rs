//! Pure reasoning on the view, and the tasks that several steps share.

mod availability;
pub(crate) mod canary_value;
pub(crate) mod consents;
pub(crate) mod data_loss;
pub(crate) mod departure;
pub(crate) mod desired_config;
pub(crate) mod former_members;
pub(crate) mod health;
mod links;
pub(crate) mod need;
pub(crate) mod out_of_sync;
pub(crate) mod queues;
pub(crate) mod shared_settings;
pub(crate) mod unit_tasks;
pub(crate) mod unusable;
