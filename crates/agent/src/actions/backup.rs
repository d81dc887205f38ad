//! Keeping what is replaced.
//!
//! Backups stand under a directory of their own that mirrors the host's, `/var/backups/clusterctl/etc/redis/redis.conf.
//! 20261124T085110Z`: beside the file, a service that reads every file of a directory would read them too.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::clock;
use tree::{Access, Draft, Folder, TreeError};

/// Keeps a file's content with its owner and mode, and tells where.
pub(super) fn keep(
    backups: &Path,
    path: &Path,
    content: &[u8],
    meta: &Metadata,
) -> Result<PathBuf, TreeError> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let directory = match below.parent() {
        Some(parent) => backups.join(parent),
        None => backups.to_owned(),
    };
    let folder = Folder::make(&directory, 0o700)?;
    private(backups)?;
    let name = below.file_name().unwrap_or_default();
    let draft = Draft::write(&folder, name, content, Access::found(meta))?;
    let stamp = clock::stamp();
    let mut kept = name.to_owned();
    kept.push(format!(".{stamp}"));
    let first = kept.clone();
    // A second change within the same second gets a number.
    for number in 2_u32.. {
        if let Some(place) = draft.add(&kept)? {
            return Ok(place);
        }
        kept.clone_from(&first);
        kept.push(format!(".{number}"));
    }
    Ok(directory.join(first))
}

/// Backups hold passwords: nothing is kept where somebody else made the directory.
fn private(backups: &Path) -> Result<(), TreeError> {
    let folder = Folder::make(backups, 0o700)?;
    let meta = folder.metadata()?;
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if is_ours && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(TreeError::Exposed(backups.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nothing_is_kept_in_a_directory_that_others_can_write() {
        let home = tempfile::tempdir().unwrap();
        let backups = home.path().join("backups");
        let meta = fs::metadata(home.path()).unwrap();
        let keep = || keep(&backups, Path::new("/etc/a"), b"x", &meta);
        assert!(keep().is_ok());
        fs::set_permissions(&backups, Permissions::from_mode(0o777)).unwrap();
        let error = keep().unwrap_err();
        assert!(matches!(error, TreeError::Exposed(_)), "{error}");
    }
}
