//! Owner, group and mode of a file or directory.

use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::TreeError;
use crate::accounts::Database;

/// Owner, group and permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Access {
    /// Looks the names up.
    pub(crate) fn of(mode: u32, owner: &str, group: &str) -> Result<Self, TreeError> {
        let id = |database: Database, what, name: &str| {
            database.id_of(name).ok_or_else(|| TreeError::NoAccount {
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
    pub(crate) fn found(meta: &Metadata) -> Self {
        Self {
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }

    /// Whether something has it.
    pub(crate) fn fits(self, meta: &Metadata) -> bool {
        self == Self::found(meta)
    }

    /// Gives it to an open file or directory, which the caller has checked.
    pub(crate) fn give(self, file: &File, path: &Path) -> Result<(), TreeError> {
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
