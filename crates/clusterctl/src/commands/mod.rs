//! One module a command: it reads, asks the pure crates, and hands the answer to the report.

pub(crate) mod apply;
mod apply_saved;
mod execution;
pub(crate) mod history;
pub(crate) mod plan;
pub(crate) mod secrets;
pub(crate) mod show;
pub(crate) mod status;
