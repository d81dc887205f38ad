//! The voters that the configuration files of all members name.

use types::HostName;

/// The voters that the files name now. While voters join, departing ones stay; each list is in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Membership {
    /// All of them: those of the inventory, then the departing ones.
    pub(crate) voters: Vec<HostName>,
    /// Those that the quorum does not have yet.
    pub(crate) joining: Vec<HostName>,
    /// Those that leave once all others are in the quorum.
    pub(crate) departing: Vec<HostName>,
}

impl Membership {
    /// Whether a host is a voter.
    pub(crate) fn has(&self, host: &HostName) -> bool {
        self.voters.contains(host)
    }

    /// Whether there are so few that each restart takes the majority away.
    pub(crate) fn is_small(&self) -> bool {
        self.voters.len() < 3
    }
}
