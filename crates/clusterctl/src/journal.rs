//! Opens the journal.

use std::path::{Path, PathBuf};

use state::Journal;

use crate::error::Error;

/// Opens the journal: in the folder that was named, else where the XDG base directory specification keeps state.
pub(crate) fn open(state_dir: Option<&Path>) -> Result<Journal, Error> {
    let folder = match state_dir {
        Some(folder) => folder.to_path_buf(),
        None => default_folder().ok_or(Error::NoStateDir)?,
    };
    Ok(Journal::open(folder.join("journal.db"))?)
}

fn default_folder() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("clusterctl"))
}
