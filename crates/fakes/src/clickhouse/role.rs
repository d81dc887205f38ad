//! The roles of the quorum's members.

use crate::Pace;

/// A member's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It does not run.
    Down,
    /// It looks for a leader.
    Looking {
        /// The time since when.
        since: i64,
    },
    /// It follows.
    Following {
        /// The leader's name.
        leader: String,
        /// The time since when.
        since: i64,
        /// Whether it has what the leader has.
        is_synced: bool,
    },
    /// It leads.
    Leading,
    /// It is the only one by its configuration.
    Standalone,
}

impl Role {
    /// When it changes by itself.
    pub fn due(&self, pace: Pace) -> Option<i64> {
        match self {
            Self::Looking { since } => Some(since + pace.elect_us),
            Self::Following {
                since,
                is_synced: false,
                ..
            } => Some(since + pace.copy_us),
            _ => None,
        }
    }

    /// Whether it answers clients.
    pub fn serves(&self) -> bool {
        matches!(
            self,
            Self::Leading | Self::Standalone | Self::Following { is_synced: true, .. }
        )
    }
}
