//! Files as they are when a step has its turn, and changes of them.

mod edit;
pub(crate) mod etc_hosts;
mod planned_file;

pub(crate) use edit::{CannotEdit, Edited, Write, edit};
pub(crate) use planned_file::{Access, PlannedFile};
