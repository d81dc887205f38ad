//! Putting a file back that the same run replaced: the content, owner and mode that were kept.

use std::path::Path;

use protocol::{ActionError, Change, FileState};

use super::write::{self, WriteError};
use crate::host::Host;
use tree::{Access, Place, TreeError};

/// Puts back what was kept, where what the run wrote still stands there; without anything kept, the file goes. What stands
/// there is kept as well: it is what failed.
pub(super) fn restore(
    host: &Host,
    path: &str,
    backup: Option<&str>,
    was: &FileState,
) -> Result<Change, ActionError> {
    let path = Path::new(path);
    Ok(match backup {
        Some(backup) => put_back(host, path, Path::new(backup), was)?,
        None => remove(host, path, was)?,
    })
}

fn put_back(host: &Host, path: &Path, backup: &Path, was: &FileState) -> Result<Change, WriteError> {
    let place = Place::require(path)?;
    let kept = write::read(&Place::require(backup)?)?;
    let kept = kept.ok_or_else(|| TreeError::io("open", backup)(rustix::io::Errno::NOENT))?;
    let access = Access::found(&kept.file.meta);
    let found = write::read(&place)?;
    let summary = format!("{} is as it was", path.display());
    let is_back = |found: &write::Old| found.content == kept.content && access.fits(&found.file.meta);
    if found.as_ref().is_some_and(is_back) {
        return Ok(write::change(summary, None));
    }
    write::expect(&place, found.as_ref(), was)?;
    let change = write::replace(host, &place, found.as_ref(), &kept.content, access)?;
    Ok(Change { summary, ..change })
}

fn remove(host: &Host, path: &Path, was: &FileState) -> Result<Change, WriteError> {
    let place = Place::require(path)?;
    let gone = || Ok(write::change(format!("{} is gone already", path.display()), None));
    let Some(found) = write::read(&place)? else {
        return gone();
    };
    write::expect(&place, Some(&found), was)?;
    let kept = write::keep(host, &place, &found)?;
    place.unlink()?;
    Ok(write::change(format!("removed {}", path.display()), Some(kept)))
}
