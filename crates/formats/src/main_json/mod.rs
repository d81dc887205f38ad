//! main.json of the Altcraft Platform: JSON with comments, into which wanted keys are merged.

mod merge;
mod want;

pub use merge::{MergeError, merge, parse};
pub use want::{Want, Wants, has, is, lay_over};
