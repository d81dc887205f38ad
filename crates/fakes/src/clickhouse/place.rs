//! What a member of the quorum is to the others.

use crate::Pace;

/// What a member is to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It does not run.
    Away,
    /// It looks for a leader.
    Looking {
        /// Since when.
        since: i64,
    },
    /// It follows.
    Following {
        /// Whom.
        leader: String,
        /// Since when.
        since: i64,
        /// Whether it has what the leader has.
        is_synced: bool,
    },
    /// It leads.
    Leading,
    /// It is the only one by its configuration.
    Alone,
}

impl Place {
    /// When something comes of it.
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
            Self::Leading | Self::Alone | Self::Following { is_synced: true, .. }
        )
    }
}
