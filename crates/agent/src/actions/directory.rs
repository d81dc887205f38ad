//! Making a directory.

use std::path::Path;

use protocol::{ActionError, Change, DirectoryState};

use super::act::done;
use crate::accounts;
use tree::{Access, Folder, Place, TreeError};

/// Makes a directory with its parents, or gives one that is there the wanted owner and mode; it is as it was seen, or as
/// wanted.
pub(super) fn make(path: &str, access: Access, was: &DirectoryState) -> Result<Change, ActionError> {
    Ok(done(make_directory(Path::new(path), access, was)?))
}

fn make_directory(path: &Path, access: Access, was: &DirectoryState) -> Result<String, ActionError> {
    let place = Place::make(path)?;
    let found = place.directory()?;
    let meta = found.as_ref().map(Folder::metadata).transpose()?;
    let is_as_seen = match (&meta, was) {
        (_, DirectoryState::Any) | (None, DirectoryState::Absent) => true,
        (Some(meta), DirectoryState::Present { mode, owner, group }) => {
            accounts::access(*mode, owner, group)?.fits(meta)
        }
        _ => false,
    };
    // Where an answer was lost, what is repeated is done already.
    let is_done = meta.as_ref().is_some_and(|meta| access.fits(meta));
    if !is_as_seen && !is_done {
        let what = format!("{} is no longer as it was seen", path.display());
        return Err(ActionError::Changed { what });
    }
    Ok(give(path, &place, found, access)?)
}

fn give(path: &Path, place: &Place, found: Option<Folder>, access: Access) -> Result<String, TreeError> {
    let shown = path.display();
    let Some(found) = found else {
        // Closed until it belongs to who it is for.
        let added = place.folder.add(&place.name)?;
        access.give(&added.for_change()?, path)?;
        place.folder.flush()?;
        return Ok(format!("made {shown}"));
    };
    if access.fits(&found.metadata()?) {
        return Ok(format!("{shown} is already as wanted"));
    }
    access.give(&found.for_change()?, path)?;
    Ok(format!("changed the owner or mode of {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::facts::Obstacle;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn parents_are_made_and_a_second_time_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let owned = Access::found(&fs::metadata(root.path()).unwrap());
        let said = make_directory(&path, owned, &DirectoryState::Any).unwrap();
        assert!(said.starts_with("made "), "{said}");
        assert_eq!((mode(&path), mode(&root.path().join("a"))), (0o700, 0o755));
        assert!(
            make_directory(&path, owned, &DirectoryState::Any)
                .unwrap()
                .ends_with("already as wanted")
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(
            make_directory(&path, owned, &DirectoryState::Any)
                .unwrap()
                .starts_with("changed")
        );
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owned = Access::found(&fs::metadata(file.path()).unwrap());
        let error = make_directory(file.path(), owned, &DirectoryState::Any)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("not a directory"), "{error}");
    }

    #[test]
    fn a_link_to_a_directory_is_refused_and_its_target_keeps_its_mode() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("target"), home.path().join("link"));
        fs::create_dir(&target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o711)).unwrap();
        symlink(&target, &link).unwrap();
        let owned = Access::found(&fs::metadata(home.path()).unwrap());
        let error = make_directory(&link, owned, &DirectoryState::Any)
            .unwrap_err()
            .to_string();
        assert!(error.contains("is a symbolic link to"), "{error}");
        let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o711);
    }

    #[test]
    fn a_directory_that_is_not_as_it_was_seen_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let mode = |mode: u32| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let access = || Access::found(&fs::metadata(&path).unwrap());
        fs::create_dir(&path).unwrap();
        mode(0o700);
        let meta = fs::metadata(&path).unwrap();
        let seen = DirectoryState::Present {
            mode: 0o700,
            owner: meta.uid().to_string(),
            group: meta.gid().to_string(),
        };
        mode(0o711);
        let wanted = access();
        // As wanted: what is repeated is done.
        assert!(make_directory(&path, wanted, &DirectoryState::Absent).is_ok());
        mode(0o755);
        for was in [
            DirectoryState::Absent,
            seen.clone(),
            DirectoryState::Obstructed(Obstacle::File),
        ] {
            let error = make_directory(&path, wanted, &was).unwrap_err();
            assert!(matches!(error, ActionError::Changed { .. }), "{error}");
        }
        mode(0o700);
        make_directory(&path, wanted, &seen).unwrap();
        assert_eq!(access(), wanted);
    }
}
