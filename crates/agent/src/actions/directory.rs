//! Making a directory.

use std::path::Path;

use protocol::{ActionError, Change};

use super::failed;
use crate::tree::{Access, Place, TreeError};

/// Makes a directory with its parents, or gives one that is there the wanted owner and mode.
pub(super) fn make(path: &str, mode: u32, owner: &str, group: &str) -> Result<Change, ActionError> {
    let access = Access::of(mode, owner, group).map_err(failed)?;
    let summary = make_directory(Path::new(path), access).map_err(failed)?;
    Ok(Change {
        summary,
        backup: None,
    })
}

fn make_directory(path: &Path, access: Access) -> Result<String, TreeError> {
    let shown = path.display();
    let place = Place::make(path)?;
    let Some(found) = place.directory()? else {
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
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn parents_are_made_and_a_second_time_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let owned = Access::found(&fs::metadata(root.path()).unwrap());
        let said = make_directory(&path, owned).unwrap();
        assert!(said.starts_with("made "), "{said}");
        assert_eq!((mode(&path), mode(&root.path().join("a"))), (0o700, 0o755));
        assert!(
            make_directory(&path, owned)
                .unwrap()
                .ends_with("already as wanted")
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(make_directory(&path, owned).unwrap().starts_with("changed"));
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owned = Access::found(&fs::metadata(file.path()).unwrap());
        let error = make_directory(file.path(), owned).unwrap_err().to_string();
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
        let error = make_directory(&link, owned).unwrap_err();
        assert!(matches!(error, TreeError::Link { .. }), "{error}");
        let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o711);
    }
}
