//! Changing what a unit finds on the disk, between what systemd is told before and after.

use std::path::Path;

use protocol::{ActionError, Change, DirectoryState, FileChange, FileState, UnitVerb};

use super::act::{Act, done};
use super::write::{self, WriteError};
use super::{directory, unit};
use tree::{Place, TreeError};

use crate::accounts::access;

/// Tells systemd, changes the files, tells systemd again; stops at the first that fails.
pub(super) fn change(
    act: &Act<'_>,
    name: &str,
    first: &[UnitVerb],
    files: &[FileChange],
    (verbs, reads): (&[UnitVerb], &[String]),
) -> Result<Change, ActionError> {
    let mut summaries = Vec::new();
    if !first.is_empty() {
        summaries.push(unit::tell(act, name, first, reads)?.summary);
    }
    for file in files {
        // A directory that was moved aside must not be moved aside a second time.
        act.begin_once(file.path())?;
        summaries.push(one(file)?);
    }
    if !verbs.is_empty() {
        summaries.push(unit::tell(act, name, verbs, reads)?.summary);
    }
    Ok(done(summaries.join("; ")))
}

fn one(change: &FileChange) -> Result<String, ActionError> {
    match change {
        FileChange::Remove { path, was } => Ok(remove(Path::new(path), was)?),
        FileChange::MoveAside { path, to } => Ok(move_aside(Path::new(path), Path::new(to))?),
        FileChange::MakeDirectory {
            path,
            mode,
            owner,
            group,
        } => {
            let access = access(*mode, owner, group)?;
            directory::make(path, access, &DirectoryState::Absent).map(|change| change.summary)
        }
    }
}

fn remove(path: &Path, was: &FileState) -> Result<String, WriteError> {
    let gone = || Ok(format!("{} is gone already", path.display()));
    let Some(place) = Place::find(path)? else {
        return gone();
    };
    let Some(old) = write::read(&place)? else {
        return gone();
    };
    write::expect(&place, Some(&old), was)?;
    place.unlink()?;
    Ok(format!("removed {}", path.display()))
}

fn move_aside(path: &Path, to: &Path) -> Result<String, TreeError> {
    let name = to.file_name().filter(|_| to.parent() == path.parent());
    let name = name.ok_or_else(|| TreeError::NoPath(to.to_owned()))?;
    Place::require(path)?.move_aside(name)?;
    Ok(format!("moved {} to {}", path.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tree::sha256;

    #[test]
    fn a_file_is_removed_once_and_only_as_it_was_seen() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pid");
        let seen = FileState::Hash(sha256(b"12"));
        fs::write(&path, "34").unwrap();
        assert!(matches!(remove(&path, &seen), Err(WriteError::Changed { .. })));
        fs::write(&path, "12").unwrap();
        assert!(remove(&path, &seen).unwrap().starts_with("removed "));
        assert!(remove(&path, &seen).unwrap().ends_with("gone already"));
        assert!(remove(&home.path().join("none/pid"), &seen).is_ok());
    }

    #[test]
    fn a_directory_is_moved_whole_and_nothing_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("data")).unwrap();
        fs::write(at("data/x"), "").unwrap();
        fs::create_dir(at("taken")).unwrap();
        let error = move_aside(&at("data"), &at("taken")).unwrap_err().to_string();
        assert!(error.ends_with("file exists"), "{error}");
        move_aside(&at("data"), &at("aside")).unwrap();
        assert!(at("aside/x").exists() && !at("data").exists());
        let error = move_aside(&at("aside"), Path::new("/elsewhere")).unwrap_err();
        assert!(matches!(error, TreeError::NoPath(_)), "{error}");
    }

    #[test]
    fn a_link_is_not_moved_for_the_directory_that_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("target")).unwrap();
        symlink(at("target"), at("data")).unwrap();
        let error = move_aside(&at("data"), &at("aside")).unwrap_err();
        assert!(matches!(error, TreeError::Link { .. }), "{error}");
    }
}
