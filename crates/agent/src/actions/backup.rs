//! Keeping what is replaced.
//!
//! Backups stand under a directory of their own that mirrors the host's, `/var/backups/clusterctl/etc/redis/redis.conf.
//! 20261124T085110Z`: beside the file, a service that reads every file of a directory would read them too.

use std::fs::{DirBuilder, Metadata};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::draft::{Access, Draft, DraftError, io_error};
use crate::clock;

/// Keeps a file's content with its owner and mode, and tells where.
pub(super) fn keep(
    backups: &Path,
    path: &Path,
    content: &[u8],
    meta: &Metadata,
) -> Result<PathBuf, DraftError> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let directory = match below.parent() {
        Some(parent) => backups.join(parent),
        None => backups.to_owned(),
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(io_error("make the directory", &directory))?;
    let name = below.file_name().unwrap_or_default();
    let draft = Draft::write(&directory, name, content, Access::found(meta))?;
    let stamp = clock::stamp();
    let mut kept = name.to_owned();
    kept.push(format!(".{stamp}"));
    let first = kept.clone();
    // A second change within the same second gets a number.
    for number in 2_u32.. {
        let place = directory.join(&kept);
        if draft.add(&place)? {
            return Ok(place);
        }
        kept.clone_from(&first);
        kept.push(format!(".{number}"));
    }
    Ok(directory.join(first))
}
