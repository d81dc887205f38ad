//! Mounting and unmounting, and deleting trees that may have something mounted in them.
//!
//! A lab that was killed may leave mounts behind, and deleting a tree through one would delete what is mounted
//! there: so nothing is deleted before the kernel's own list says that nothing is mounted in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::{Cmd, CmdError};

/// Something could not be mounted, unmounted or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The tool failed.
    #[error("cannot change what is mounted")]
    Command(#[from] CmdError),
    /// The kernel's list could not be read.
    #[error("cannot read /proc/self/mountinfo")]
    List(#[source] io::Error),
    /// Something stays mounted, so the tree is not deleted.
    #[error("{} is still mounted, so {} is not deleted", mount.display(), tree.display())]
    Held {
        /// The source of the mount.
        mount: PathBuf,
        /// What was to be deleted.
        tree: PathBuf,
    },
    /// The tree could not be deleted.
    #[error("cannot delete {}", tree.display())]
    Delete {
        /// The tree.
        tree: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Mounts a host's root: the image below, what the host writes above.
pub(crate) fn overlay(lower: &Path, upper: &Path, work: &Path, target: &Path) -> Result<(), MountError> {
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    Cmd::new("mount")
        .args(["-t", "overlay", "clusterctl-lab", "-o", &options])
        .arg(target)
        .run()?;
    Ok(())
}

/// Unmounts everything at or below `tree`, innermost first. What is in use is detached, and goes with its last user.
pub(crate) fn unmount_all(tree: &Path) -> Result<(), MountError> {
    for mount in mounted(tree)?.iter().rev() {
        if Cmd::new("umount").arg(mount).run().is_err() {
            Cmd::new("umount").arg("--lazy").arg(mount).run()?;
        }
    }
    Ok(())
}

/// Deletes a tree, after unmounting what is mounted in it.
pub(crate) fn remove_tree(tree: &Path) -> Result<(), MountError> {
    unmount_all(tree)?;
    if let Some(mount) = mounted(tree)?.pop() {
        return Err(MountError::Held {
            mount,
            tree: tree.to_owned(),
        });
    }
    match fs::remove_dir_all(tree) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(MountError::Delete {
            tree: tree.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// The mount points at or below `tree`, in the order in which they were mounted.
fn mounted(tree: &Path) -> Result<Vec<PathBuf>, MountError> {
    // The kernel lists real paths.
    let Ok(tree) = tree.canonicalize() else {
        return Ok(Vec::new());
    };
    let list = fs::read_to_string("/proc/self/mountinfo").map_err(MountError::List)?;
    Ok(mount_points(&list)
        .filter(|point| point.starts_with(&tree))
        .collect())
}

/// The fifth word of each line is the mount point, with blanks as octal escapes.
fn mount_points(list: &str) -> impl Iterator<Item = PathBuf> {
    list.lines().filter_map(|line| {
        let point = line.split(' ').nth(4)?;
        Some(
            point
                .replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\134", "\\")
                .into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_from_the_kernels_list() {
        let list = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                    90 27 0:50 / /var/lib/my\\040lab/root rw - overlay clusterctl-lab rw\n";
        let points: Vec<_> = mount_points(list).collect();
        assert_eq!(
            points,
            [PathBuf::from("/proc"), PathBuf::from("/var/lib/my lab/root")]
        );
    }

    #[test]
    fn deleting_what_is_not_there_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        remove_tree(&dir.path().join("absent")).unwrap();
    }
}
