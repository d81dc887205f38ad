//! A file that is not in its place yet.
//!
//! It is written and flushed under another name in the same directory and takes its own name in one step. What is not
//! published is removed; what a killed agent left behind is replaced by the next draft of the same file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Access, Folder, TreeError};

/// A file under a temporary name.
pub struct Draft<'f> {
    folder: &'f Folder,
    name: OsString,
    file: File,
}

impl<'f> Draft<'f> {
    /// Writes a draft of a name in the directory to the disk.
    pub fn write(
        folder: &'f Folder,
        name: &OsStr,
        content: &[u8],
        access: Access,
    ) -> Result<Self, TreeError> {
        // A dot in front: directories of configuration snippets skip such names.
        let mut draft = OsStr::new(".").to_owned();
        draft.push(name);
        draft.push(".clusterctl-new");
        let path = folder.path().join(&draft);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || rustix::fs::openat(folder.file(), &draft, flags, Mode::RUSR | Mode::WUSR);
        let created = match create() {
            // Left by an agent that was killed: the run lock says that no other is at work.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(folder.file(), &draft, AtFlags::empty()).and_then(|()| create())
            }
            created => created,
        };
        let file = File::from(created.map_err(TreeError::io("create", &path))?);
        let mut draft = Self {
            folder,
            name: draft,
            file,
        };
        draft
            .file
            .write_all(content)
            .map_err(TreeError::io("write", &path))?;
        access.give(&draft.file, &path)?;
        draft.file.sync_all().map_err(TreeError::io("write", &path))?;
        Ok(draft)
    }

    /// Where it stands as long as it has no name of its own.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Puts the draft in the place of what has this name now.
    pub fn replace(self, name: &OsStr) -> Result<(), TreeError> {
        let (folder, path) = (self.folder, self.folder.path().join(name));
        let renamed = rustix::fs::renameat(folder.file(), &self.name, folder.file(), name);
        renamed.map_err(TreeError::io("replace", &path))?;
        if !self.is_at(name) {
            return Err(TreeError::Replaced(path));
        }
        folder.flush()
    }

    /// Puts the draft where nothing is, and returns the path; `None` where something has the name.
    pub fn add(&self, name: &OsStr) -> Result<Option<PathBuf>, TreeError> {
        let (folder, path) = (self.folder, self.folder.path().join(name));
        let flags = AtFlags::empty();
        match rustix::fs::linkat(folder.file(), &self.name, folder.file(), name, flags) {
            Ok(()) if !self.is_at(name) => Err(TreeError::Replaced(path)),
            Ok(()) => folder.flush().map(|()| Some(path)),
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(TreeError::io("create", &path)(error)),
        }
    }

    /// Whether a name is the draft's: an account that can write the directory can rename what is in it at any moment.
    fn is_at(&self, name: &OsStr) -> bool {
        let id = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let there = self.folder.look(name).ok();
        there.is_some_and(|there| id(&there).is_some() && id(&there) == id(&self.file))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After `replace` there is nothing to remove.
        let _removed = rustix::fs::unlinkat(self.folder.file(), &self.name, AtFlags::empty()).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use tempfile::TempDir;

    fn opened() -> (TempDir, Folder, Access) {
        let directory = tempfile::tempdir().unwrap();
        let access = Access::found(&fs::metadata(directory.path()).unwrap());
        let folder = Folder::open(directory.path()).unwrap().unwrap();
        (directory, folder, access)
    }

    fn draft<'f>(folder: &'f Folder, content: &[u8], access: Access) -> Draft<'f> {
        Draft::write(folder, OsStr::new("a"), content, access).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_draft_that_is_not_published_leaves_nothing() {
        let (directory, folder, access) = opened();
        let draft = draft(&folder, b"x", access);
        assert_eq!(names(directory.path()), [".a.clusterctl-new"]);
        drop(draft);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_draft_of_a_killed_agent_is_replaced() {
        let (directory, folder, access) = opened();
        fs::write(directory.path().join(".a.clusterctl-new"), "half").unwrap();
        draft(&folder, b"whole", access).replace(OsStr::new("a")).unwrap();
        assert_eq!(names(directory.path()), ["a"]);
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"whole");
    }

    #[test]
    fn a_link_in_the_drafts_place_is_not_followed() {
        let (directory, folder, access) = opened();
        let target = directory.path().join("target");
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, directory.path().join(".a.clusterctl-new")).unwrap();
        draft(&folder, b"ours", access).replace(OsStr::new("a")).unwrap();
        assert_eq!(fs::read(target).unwrap(), b"theirs");
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"ours");
    }

    #[test]
    fn a_draft_that_somebody_else_swapped_is_told() {
        let (directory, folder, access) = opened();
        let draft = draft(&folder, b"ours", access);
        fs::remove_file(directory.path().join(".a.clusterctl-new")).unwrap();
        fs::write(directory.path().join(".a.clusterctl-new"), "theirs").unwrap();
        let error = draft.replace(OsStr::new("a")).unwrap_err();
        assert!(matches!(error, TreeError::Replaced(_)), "{error}");
    }

    #[test]
    fn adding_never_overwrites() {
        let (directory, folder, access) = opened();
        fs::write(directory.path().join("a"), "old").unwrap();
        let draft = draft(&folder, b"new", access);
        assert!(draft.add(OsStr::new("a")).unwrap().is_none());
        assert!(draft.add(OsStr::new("b")).unwrap().is_some());
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"old");
    }

    #[test]
    fn a_rename_that_fails_removes_the_draft() {
        let (directory, folder, access) = opened();
        fs::create_dir(directory.path().join("a")).unwrap();
        let error = draft(&folder, b"new", access)
            .replace(OsStr::new("a"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot replace") && error.ends_with("is a directory"),
            "{error}"
        );
        assert_eq!(names(directory.path()), ["a"]);
    }
}
