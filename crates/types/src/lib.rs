//! The names that every crate speaks of.
//!
//! A host, a service and a step are all strings in `inventory.toml`; here each gets a type of its own, so that
//! the compiler tells them apart and a name that reached the planner is known to be well formed. [`Secret`]
//! lives here too, because a value that must never be printed has to be unprintable everywhere; and [`Diagnostic`],
//! because the code that finds a mistake in the operator's files and the code that shows it do not know each other.

mod diagnostic;
mod name;
mod secret;

pub use diagnostic::{Diagnostic, Severity, Source, SourceId, Sources, Span};
pub use name::{GroupId, HostName, NameError, NodeId, RunId, SecretId, ServiceName, StepId};
pub use secret::Secret;
