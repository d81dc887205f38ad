//! A file that is not in its place yet.
//!
//! It is written and flushed under another name in the same directory and takes its own name in one step. What is not
//! published is removed; what a killed agent left behind is replaced by the next draft of the same file.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::accounts::Database;
use crate::words::words;

/// Why something could not be put in its place.
#[derive(Debug, Error)]
pub(super) enum DraftError {
    #[error("cannot {what} {}: {}", path.display(), words(source))]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("there is no {what} {name:?}")]
    NoAccount { what: &'static str, name: String },
}

/// A step that failed, as an error with its words.
pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DraftError + use<> {
    let path = path.to_owned();
    move |source| DraftError::Io { what, path, source }
}

/// Who may do what with a file or directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Access {
    /// Looks the names up.
    pub(super) fn of(mode: u32, owner: &str, group: &str) -> Result<Self, DraftError> {
        let id = |database: Database, what, name: &str| {
            database.id_of(name).ok_or_else(|| DraftError::NoAccount {
                what,
                name: name.to_owned(),
            })
        };
        Ok(Self {
            mode: mode & 0o7777,
            uid: id(Database::Users, "user", owner)?,
            gid: id(Database::Groups, "group", group)?,
        })
    }

    /// What something has.
    pub(super) fn found(meta: &Metadata) -> Self {
        Self {
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }

    /// Whether something has it.
    pub(super) fn fits(self, meta: &Metadata) -> bool {
        let found = Self::found(meta);
        (self.mode, self.uid, self.gid) == (found.mode, found.uid, found.gid)
    }

    /// Gives it to an open file or directory.
    pub(super) fn give(self, file: &File, path: &Path) -> Result<(), DraftError> {
        let meta = file.metadata().map_err(io_error("look at", path))?;
        if (meta.uid(), meta.gid()) != (self.uid, self.gid) {
            let given = fchown(file, Some(self.uid), Some(self.gid));
            given.map_err(io_error("change the owner of", path))?;
        }
        // After the owner, for a change of owner takes special bits away.
        let given = file.set_permissions(Permissions::from_mode(self.mode));
        given.map_err(io_error("change the mode of", path))
    }
}

/// A file under a temporary name.
pub(super) struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Writes a draft of `directory/name` to the disk.
    pub(super) fn write(
        directory: &Path,
        name: &OsStr,
        content: &[u8],
        access: Access,
    ) -> Result<Self, DraftError> {
        // A dot in front: directories of configuration snippets skip such names.
        let mut draft = OsStr::new(".").to_owned();
        draft.push(name);
        draft.push(".clusterctl-new");
        let path = directory.join(draft);
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(&path)
        };
        let mut file = match create() {
            // Left by an agent that was killed: the run lock says that no other is at work.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| create())
            }
            created => created,
        }
        .map_err(io_error("create", &path))?;
        let draft = Self { path };
        file.write_all(content).map_err(io_error("write", &draft.path))?;
        access.give(&file, &draft.path)?;
        file.sync_all().map_err(io_error("write", &draft.path))?;
        Ok(draft)
    }

    /// Puts the draft in the place of what has this name now.
    pub(super) fn replace(self, path: &Path) -> Result<(), DraftError> {
        fs::rename(&self.path, path).map_err(io_error("replace", path))?;
        flush_directory_of(path)
    }

    /// Puts the draft where nothing is; `false` where something has the name.
    pub(super) fn add(&self, path: &Path) -> Result<bool, DraftError> {
        match fs::hard_link(&self.path, path) {
            Ok(()) => flush_directory_of(path).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_error("create", path)(error)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `replace` there is nothing to remove.
        let _removed = fs::remove_file(&self.path).is_ok();
    }
}

/// Makes a directory's new entry survive a power cut.
pub(super) fn flush_directory_of(path: &Path) -> Result<(), DraftError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flushed = File::open(directory).and_then(|directory| directory.sync_all());
    flushed.map_err(io_error("flush", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(directory: &Path) -> Access {
        Access::found(&fs::metadata(directory).unwrap())
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_draft_that_is_not_published_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let access = mine(directory.path());
        let draft = Draft::write(directory.path(), OsStr::new("a"), b"x", access).unwrap();
        assert_eq!(names(directory.path()), [".a.clusterctl-new"]);
        drop(draft);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_draft_of_a_killed_agent_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".a.clusterctl-new"), "half").unwrap();
        let access = mine(directory.path());
        let draft = Draft::write(directory.path(), OsStr::new("a"), b"whole", access).unwrap();
        draft.replace(&directory.path().join("a")).unwrap();
        assert_eq!(names(directory.path()), ["a"]);
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"whole");
    }

    #[test]
    fn adding_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a");
        fs::write(&place, "old").unwrap();
        let access = mine(directory.path());
        let draft = Draft::write(directory.path(), OsStr::new("a"), b"new", access).unwrap();
        assert!(!draft.add(&place).unwrap());
        assert!(draft.add(&directory.path().join("b")).unwrap());
        assert_eq!(fs::read(place).unwrap(), b"old");
    }

    #[test]
    fn a_rename_that_fails_removes_the_draft() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a");
        fs::create_dir(&place).unwrap();
        let access = mine(directory.path());
        let draft = Draft::write(directory.path(), OsStr::new("a"), b"new", access).unwrap();
        let error = draft.replace(&place).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot replace") && error.ends_with("is a directory"),
            "{error}"
        );
        assert_eq!(names(directory.path()), ["a"]);
    }
}
