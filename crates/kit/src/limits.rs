//! Time limits of actions.

/// Time limit of an action that is quick on an idle host, and may not be on a busy one, in milliseconds.
pub const QUICK: u64 = 60_000;
/// Time limit for a unit to start or stop, in milliseconds: systemd's own default is 90 s for each of the two.
pub const UNIT: u64 = 300_000;
/// Time limit for packages to be fetched and installed, in milliseconds.
pub const PACKAGES: u64 = 1_800_000;
