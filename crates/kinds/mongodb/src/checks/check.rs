//! The checks of gates, and their spelling in plans.

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

// The spellings stand in saved plans.
kit::spell_checks!(Check {
    "answers" => Answers,
    "primary" => Primary,
    "serves" => Available,
    "has-data" => HasData,
    "handed-over" => SteppedDown,
    "nothing-to-lose" => NothingToLose;
    "committed:" + Committed,
    "spared:" + Spared
});
