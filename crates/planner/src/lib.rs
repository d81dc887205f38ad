//! From what is wanted and what is observed to what is done: a pure function.
//!
//! A [`Project`] is everything that the operator wrote, read and checked. It tells which facts it needs
//! ([`Project::queries`]) and turns their answers into a step graph ([`Project::plan`]). It is also the judge of
//! the gates of its plans, and gives the services' status, for all of it is a reading of facts.

mod again;
mod bind;
mod budget;
mod chain;
mod others;
mod project;
#[cfg(test)]
mod tests;
mod well;

pub use again::goes_on;
pub use chain::Options;
pub use project::{Input, PlaybookText, Project, Scope, builtin_playbooks, templates};
