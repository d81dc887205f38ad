//! The answer to one query.

use protocol::{Fact, FactError};

/// A fact, or why there is none.
pub(super) type Answer = Result<Fact, FactError>;

/// The error of a fact that could not be observed.
pub(super) fn unknown(why: impl std::fmt::Display) -> FactError {
    FactError {
        message: why.to_string(),
    }
}
