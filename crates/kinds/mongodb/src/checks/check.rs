//! The checks of gates, and their spelling in plans.

use std::fmt;
use std::str::FromStr;

/// A condition that a gate waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// A server answers, and waits for a set or is in it.
    Answers,
    /// A member is the primary.
    Primary,
    /// A member is available.
    Available,
    /// A joining member has the data.
    HasData,
    /// A majority has the configuration of this version.
    Committed(i64),
    /// A member is not the primary any more, and another one is.
    SteppedDown,
    /// The set can do without the member of this name.
    Spared(String),
    /// A host stores nothing that the set's data would replace.
    NothingToLose,
}

const COMMITTED: &str = "committed:";
const SPARED: &str = "spared:";

/// The spelling, which stands in saved plans.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers",
            Self::Primary => "primary",
            Self::Available => "serves",
            Self::HasData => "has-data",
            Self::SteppedDown => "handed-over",
            Self::NothingToLose => "nothing-to-lose",
            Self::Committed(version) => return write!(f, "{COMMITTED}{version}"),
            Self::Spared(name) => return write!(f, "{SPARED}{name}"),
        })
    }
}

/// A spelling that is no check of this kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownCheck;

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        if let Some(version) = text.strip_prefix(COMMITTED) {
            return version.parse().map(Self::Committed).map_err(|_| UnknownCheck);
        }
        if let Some(name) = text.strip_prefix(SPARED) {
            return Ok(Self::Spared(name.to_owned()));
        }
        let mut plain = [
            Self::Answers,
            Self::Primary,
            Self::Available,
            Self::HasData,
            Self::SteppedDown,
            Self::NothingToLose,
        ]
        .into_iter();
        plain.find(|check| check.to_string() == text).ok_or(UnknownCheck)
    }
}
