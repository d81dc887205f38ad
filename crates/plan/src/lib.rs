//! The data that all crates share: facts, the step graph, gates, budgets, refusals, events and status.
//!
//! The planner makes a [`StepGraph`], the executor runs it, the report shows it; none of the three imports another. What
//! they share is here, as data with its invariants and without behaviour of its own.

pub mod basis;
pub mod comparison;
pub mod difference;
pub mod event;
pub mod facts;
pub mod gate;
pub mod graph;
pub mod note;
pub mod running_units;
pub mod status;
mod volatile;

pub use basis::Basis;
pub use comparison::{Comparison, compare};
pub use difference::{Aspect, Difference, Step};
pub use event::{Event, Failure, NodeOutcome, NotRun, Outcome};
pub use facts::{Facts, HostFacts, Unknown};
pub use gate::{Gate, Judge, Verdict};
pub use graph::{Budget, GraphError, Node, Preview, Rollback, StepGraph};
pub use note::{Consent, Level, Note, PATIENCE, Passing, Paused, Refusal, SkippedSteps, Unplanned};
pub use running_units::RunningUnits;
pub use status::{Health, MemberStatus, ServiceStatus};
