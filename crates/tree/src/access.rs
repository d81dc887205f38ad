//! Owner, group and mode of a file or directory.

use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::TreeError;

/// Owner, group and permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Access {
    /// Of these numbers.
    pub fn new(mode: u32, uid: u32, gid: u32) -> Self {
        let mode = mode & 0o7777;
        Self { mode, uid, gid }
    }

    /// What something has.
    pub fn found(meta: &Metadata) -> Self {
        Self {
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }

    /// Whether something has it.
    pub fn fits(self, meta: &Metadata) -> bool {
        self == Self::found(meta)
    }

    /// Gives it to an open file or directory, which the caller has checked.
    pub fn give(self, file: &File, path: &Path) -> Result<(), TreeError> {
        let meta = file.metadata().map_err(TreeError::io("inspect", path))?;
        if (meta.uid(), meta.gid()) != (self.uid, self.gid) {
            let given = fchown(file, Some(self.uid), Some(self.gid));
            given.map_err(TreeError::io("change the owner of", path))?;
        }
        // After the owner, for a change of owner takes special bits away.
        let given = file.set_permissions(Permissions::from_mode(self.mode));
        given.map_err(TreeError::io("change the mode of", path))
    }
}
