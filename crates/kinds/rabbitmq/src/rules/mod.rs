//! What follows from the view: pure reasoning.

pub(crate) mod departing;
