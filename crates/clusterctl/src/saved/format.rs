//! The mark of a saved plan.

/// What a file must begin with to be one.
pub(super) const FORMAT: &str = "clusterctl plan";
/// The version that is written; older ones are read.
pub(super) const VERSION: u32 = 1;
