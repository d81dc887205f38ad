//! The arguments of steps: read, rendered and checked while the playbook is read.

mod args;
mod build_cx;
pub(crate) mod masks;
mod template;

pub(crate) use args::{Args, Word};
pub use build_cx::BuildCx;
pub use template::{Place, render};
