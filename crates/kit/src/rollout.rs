//! The order of a rolling change, and majorities.

/// When a member has its turn in a rolling change: members that are down first, for the others count on them; then
/// followers; the leader last, so that there is one failover at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It is down, and is no use to anybody until it is back.
    Down,
    /// It follows.
    Follower,
    /// It leads: the primary, the master.
    Leader,
}

/// How many of so many voters are a majority.
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}
