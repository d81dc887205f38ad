//! Pure reasoning on the view.

pub(crate) mod desired_config;
pub(crate) mod former_members;
pub(crate) mod need;
