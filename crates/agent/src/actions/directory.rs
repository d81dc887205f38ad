//! Making a directory.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use protocol::{ActionError, Change};

use super::draft::{Access, DraftError, flush_directory_of, io_error};
use super::failed;
use crate::facts::is_absent;

/// Makes a directory with its parents, or gives one that is there the wanted owner and mode.
pub(super) fn make(path: &str, mode: u32, owner: &str, group: &str) -> Result<Change, ActionError> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(failed(format!("{} is not an absolute path", path.display())));
    }
    let access = Access::of(mode, owner, group).map_err(failed)?;
    let summary = make_directory(path, access).map_err(failed)?;
    Ok(Change {
        summary,
        backup: None,
    })
}

fn make_directory(path: &Path, access: Access) -> Result<String, DraftError> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(meta) if access.fits(&meta) && meta.is_dir() => {
            return Ok(format!("{shown} is already as wanted"));
        }
        Ok(_) => {}
        Err(error) if is_absent(&error) => {
            if let Some(parent) = path.parent() {
                let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
                made.map_err(io_error("make", parent))?;
            }
            // Closed until it belongs to who it is for.
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(io_error("make", path))?;
            give(path, access)?;
            flush_directory_of(path)?;
            return Ok(format!("made {shown}"));
        }
        Err(error) => return Err(io_error("look at", path)(error)),
    }
    give(path, access)?;
    Ok(format!("changed the owner or mode of {shown}"))
}

fn give(path: &Path, access: Access) -> Result<(), DraftError> {
    let directory = File::open(path).map_err(io_error("open", path))?;
    let meta = directory.metadata().map_err(io_error("look at", path))?;
    if !meta.is_dir() {
        let error = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(io_error("make the directory", path)(error));
    }
    access.give(&directory, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
}
