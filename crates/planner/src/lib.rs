//! From the desired and the observed state to a plan: a pure function.
//!
//! A [`Project`] is everything that the operator wrote, read and checked. It knows which facts it needs
//! ([`Project::queries`]) and turns their answers into a step graph ([`Project::plan`]). It also judges the gates of its
//! plans and gives the services' status, because both are a reading of facts.

mod assemble;
mod bind;
mod budget;
mod chain;
mod checks;
mod former_members;
mod input;
mod pauses;
mod project;
mod replan;
mod request;
mod serial_order;
mod stages;
#[cfg(test)]
mod tests;
mod turns;

pub use input::{Input, PlaybookText};
pub use project::{Project, builtin_playbooks, templates};
pub use replan::{ROUNDS, is_within, stopped_by_changes};
pub use request::{Options, Scope};
