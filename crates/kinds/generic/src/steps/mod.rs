//! The steps, one file each.

pub(crate) mod command;
pub(crate) mod directory;
pub(crate) mod file;
pub(crate) mod hosts_file;
pub(crate) mod ini;
pub(crate) mod line;
pub(crate) mod package;
mod shell;
pub(crate) mod unit;
pub(crate) mod wait_for;
