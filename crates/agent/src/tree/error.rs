//! Why a file or folder could not be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error_text::error_text;

/// Why something on a path was not read, made or changed.
#[derive(Debug, Error)]
pub(crate) enum TreeError {
    #[error("cannot {what} {}: {}", path.display(), error_text(source))]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not the absolute path of a file", .0.display())]
    NoPath(PathBuf),
    #[error(
        "{} is a symbolic link to {} on the way to {}, and users other than root can change it: it is not followed; \
         replace it by a directory, or give the path that it leads to",
        link.display(), target.display(), path.display()
    )]
    ForeignLink {
        link: PathBuf,
        target: PathBuf,
        path: PathBuf,
    },
    #[error(
        "{} is a symbolic link to {}, and links are not followed; remove it, or give the path that it leads to",
        path.display(), target.display()
    )]
    Link { path: PathBuf, target: PathBuf },
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error(
        "{} is one of {names} names of the same file (hard links), in a directory that users other than root can write: it \
         may be any file of the system; replace it by a copy",
        path.display()
    )]
    HardLinks { path: PathBuf, names: u64 },
    #[error("{} is too large: more than {} MiB", path.display(), limit >> 20)]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{} could not be read in time", .0.display())]
    Slow(PathBuf),
    #[error("{} was replaced by another process meanwhile", .0.display())]
    Replaced(PathBuf),
    #[error(
        "{} belongs to others or can be written by them, and nothing is kept there; give it to root with mode 0700",
        .0.display()
    )]
    Exposed(PathBuf),
    #[error("there is no {what} {name:?}")]
    NoAccount { what: &'static str, name: String },
}

impl TreeError {
    /// A system call that failed, with what it was for.
    pub(crate) fn io<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |error| Self::Io {
            what,
            path,
            source: error.into(),
        }
    }
}
