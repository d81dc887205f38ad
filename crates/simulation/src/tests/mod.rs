//! The simulation itself: seeds reproduce, hold, and notice what they are for.
