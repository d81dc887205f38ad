//! A plan in a file: `plan --out FILE` writes it, and `apply FILE` executes exactly it, or reports what changed since.
//!
//! Between the two there may be a review, a night, or a change window.
//!
//! - The file has all that the plan was made from (the paths of the project's texts with their digests, the scope, the
//!   consents), so that the same plan can be made again and compared.
//! - It has no secret: the plan has references in their places. Executing it needs the project and its secrets.
//! - A released version of the format is always read (`golden/`).

mod error;
mod file;
mod format;
mod plan;
#[cfg(test)]
mod tests;
mod texts;

pub(crate) use error::SavedError;
pub(crate) use file::{open, write};
pub(crate) use plan::{SavedPlan, absolute, contradictions};
pub(crate) use texts::of as texts;
