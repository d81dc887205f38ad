//! The data in which everyone meets: facts, the step graph, gates, budgets, refusals, events and status.
//!
//! The planner makes a [`StepGraph`], the executor runs it, the report shows it; none of the three imports another.
//! What they share stands here, as data with its invariants and without behaviour of its own.

pub mod basis;
pub mod comparison;
pub mod event;
pub mod facts;
pub mod gate;
pub mod graph;
mod moving;
pub mod note;
pub mod running;
pub mod status;

pub use basis::Basis;
pub use comparison::{Aspect, Comparison, Difference, Step, compare};
pub use event::{Event, Failure, NodeOutcome, NotRun, Outcome};
pub use facts::{Facts, HostFacts, Unknown};
pub use gate::{Gate, Judge, Verdict};
pub use graph::{Budget, GraphError, Node, Preview, StepGraph};
pub use note::{Consent, Level, Note, Refusal, SkippedSteps, Unplanned};
pub use running::Running;
pub use status::{Health, MemberStatus, ServiceStatus};
