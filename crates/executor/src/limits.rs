//! How much a run may do at once.

use std::time::Duration;

/// How much may happen at once, and when nothing new starts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Hosts that are acted on at once.
    pub hosts: usize,
    /// Nodes that run on one host at once.
    pub actions_per_host: usize,
    /// Whether nothing new starts after the first failure.
    pub fail_fast: bool,
    /// How long a member is left alone after it came back, before the next of its group is disrupted.
    pub pause_between: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hosts: 50,
            actions_per_host: 4,
            fail_fast: false,
            pause_between: Duration::ZERO,
        }
    }
}
