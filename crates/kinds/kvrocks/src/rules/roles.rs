//! The roles of members.

use plan::Refusal;
use types::HostName;

/// The roles, as far as they are known.
pub(crate) enum Roles {
    /// There is a master.
    Known {
        /// The host.
        master: HostName,
        /// Where that is known from.
        source: Source,
    },
    /// No member has a role: this one becomes the master.
    First(HostName),
    /// They contradict each other.
    Refused(Box<Refusal>),
    /// The host to ask cannot be reached.
    Unknown(String),
}

/// Where the roles are known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The sentinels: roles are theirs.
    Sentinel,
    /// The engines, as they replicate now.
    Replication,
    /// Files, of sentinels or of engines.
    Files,
}

impl Roles {
    /// The master, present or future, or why it is not known.
    pub(crate) fn decided(&self) -> Result<&HostName, &str> {
        match self {
            Self::Known { master, .. } | Self::First(master) => Ok(master),
            Self::Refused(refusal) => Err(&refusal.why),
            Self::Unknown(why) => Err(why),
        }
    }

    /// The master, present or future.
    pub(crate) fn master(&self) -> Option<&HostName> {
        self.decided().ok()
    }

    /// The present master.
    pub(crate) fn known(&self) -> Option<&HostName> {
        match self {
            Self::Known { master, .. } => Some(master),
            _ => None,
        }
    }

    /// Whether nothing contradicts itself.
    pub(crate) fn agree(&self) -> Result<(), String> {
        match self {
            Self::Refused(refusal) => Err(refusal.why.clone()),
            _ => Ok(()),
        }
    }

    /// Whether the sentinels hand out the roles.
    pub(crate) fn are_sentinels(&self) -> bool {
        matches!(self, Self::Known { source, .. } if *source == Source::Sentinel)
    }

    /// Whether the cluster replicates, as opposed to what files only promise.
    pub(crate) fn are_in_force(&self) -> bool {
        matches!(self, Self::Known { source, .. } if *source != Source::Files)
    }
}
