//! Why a file or folder could not be used.

use std::io;
use std::path::{Path, PathBuf};

use protocol::ActionError;
use thiserror::Error;

use crate::error_text::error_text;

/// Why something on a path was not read, made or changed.
#[derive(Debug, Error)]
pub enum TreeError {
    /// A system call failed.
    #[error("cannot {what} {}: {}", path.display(), error_text(source))]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The path cannot be that of a file.
    #[error("{} is not the absolute path of a file", .0.display())]
    NoPath(PathBuf),
    /// A directory on the way is a link that somebody else may have put there.
    #[error(
        "{} is a symbolic link to {} on the way to {}, and users other than root can change it: it is not followed; \
         replace it by a directory, or give the path that it leads to",
        link.display(), target.display(), path.display()
    )]
    ForeignLink {
        /// The link.
        link: PathBuf,
        /// What it says.
        target: PathBuf,
        /// The path that was given.
        path: PathBuf,
    },
    /// The last component is a link.
    #[error(
        "{} is a symbolic link to {}, and links are not followed; remove it, or give the path that it leads to",
        path.display(), target.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// A directory, device, socket or pipe.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Something else, where a directory is needed.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// A file with further names, in a directory that others can write.
    #[error(
        "{} is one of {names} names of the same file (hard links), in a directory that users other than root can write: it \
         may be any file of the system; replace it by a copy",
        path.display()
    )]
    HardLinks {
        /// The path that was given.
        path: PathBuf,
        /// How many names the file has.
        names: u64,
    },
    /// More than is read.
    #[error("{} is too large: more than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read at most, in bytes.
        limit: u64,
    },
    /// Reading took too long.
    #[error("{} could not be read in time", .0.display())]
    Slow(PathBuf),
    /// Something else took its place while it was worked on.
    #[error("{} was replaced by another process meanwhile", .0.display())]
    Replaced(PathBuf),
    /// A directory that should be ours alone.
    #[error(
        "{} belongs to others or can be written by them, and nothing is kept there; give it to root with mode 0700",
        .0.display()
    )]
    Exposed(PathBuf),
    /// An owner or group that the host does not know.
    #[error("there is no {what} {name:?}")]
    NoAccount {
        /// `user` or `group`.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

impl TreeError {
    /// A system call that failed, with what it was for.
    pub fn io<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |error| Self::Io {
            what,
            path,
            source: error.into(),
        }
    }
}

/// An action that could not use a file fails with these words.
impl From<TreeError> for ActionError {
    fn from(error: TreeError) -> Self {
        let message = error.to_string();
        Self::Failed { message }
    }
}
