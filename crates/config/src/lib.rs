//! What the operator wrote, read and checked.
//!
//! Text comes in, an [`Inventory`] or a [`Playbook`] comes out, and with it every error at once, each with its
//! place. The crate opens no file: the binary reads texts and passes them in as `types::Sources`. Values keep the
//! place where they were written ([`Value`]), through overlays too, so that a kind that reads its own settings
//! much later can still point at the line.

pub mod findings;
pub mod inventory;
mod merge;
pub mod playbook;
pub mod reader;
pub mod secret;
pub mod site;
#[cfg(test)]
mod tests;
pub mod value;

pub use findings::Findings;
pub use inventory::{Host, Inventory, Pause, ServiceDecl, SshSettings, Until};
pub use playbook::{Playbook, Rollout, StepDecl};
pub use reader::Reader;
pub use secret::{SecretRef, SecretRule, SecretSource, Takes};
pub use site::{Site, Stage};
pub use value::{Table, Value, ValueKind};
