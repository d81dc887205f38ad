//! Everything that a person or a machine reads: plans, progress, outcomes, status, history and diagnostics.
//!
//! Most of it is a function from the plan's data to a string, so that a test can show what an operator sees. What
//! to draw with (colour, width) comes in as a [`Screen`], what time it is as a [`Clock`]. Only [`output`] and
//! [`Progress`] write anywhere, and they alone may: nothing else in the program prints.
//!
//! Texts never hold secrets, only references to them; [`text`] turns those into words. Control
//! characters are made visible, because file contents, names and error messages come from hosts: whatever is written is a
//! [`Page`].

pub mod batches;
pub mod clock;
mod critical_path;
pub mod diagnostics;
pub mod diff;
pub mod effect;
pub mod history;
#[cfg(test)]
mod hostile_text;
pub mod json;
pub mod labels;
pub mod outcome;
pub mod output;
mod page;
pub mod plan_view;
pub mod progress;
mod remarks;
#[cfg(test)]
mod samples;
mod saved_plan;
pub mod screen;
mod stages;
pub mod staleness;
pub mod status;
pub mod summary;
mod table;
pub mod text;
pub mod timeline;
mod waiting;

pub use clock::Clock;
pub use diagnostics::render_diagnostics;
pub use history::{RunLine, RunView, render_history, render_run};
pub use json::{event_json, plan_json, status_json};
pub use labels::{Label, Labels};
pub use outcome::render_outcome;
pub use page::Page;
pub use plan_view::{PlanView, render_plan};
pub use progress::{Progress, ProgressMode};
pub use saved_plan::{SavedPlanHeader, render_saved_plan_header};
pub use screen::{ColourChoice, Paint, Screen};
pub use staleness::{StalePlan, TextChanges, render_stale};
pub use status::render_status;
pub use waiting::{render_waiting, waiting_json};
