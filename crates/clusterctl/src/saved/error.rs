//! Why a plan cannot be saved, or a saved one cannot be used.

use std::path::PathBuf;

use super::format::VERSION;
use crate::operator_files::Untrusted;

/// Why a plan cannot be saved, or a saved one cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    #[error("{path} cannot be read", path = .path.display())]
    Read {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("the plan in {path} is not used: another user could have written it", path = .path.display())]
    Untrusted {
        path: PathBuf,
        #[source]
        why: Untrusted,
    },
    #[error("{path} cannot be written", path = .path.display())]
    Write {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("{path} exists and is not a saved plan; pass another file to --out", path = .0.display())]
    InTheWay(PathBuf),
    #[error("{path} has no absolute path", path = .path.display())]
    Path {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("the path {0:?} is not UTF-8, so a plan cannot name it; rename it")]
    NotText(PathBuf),
    #[error(
        "{path} is JSON, but not a saved plan; pass an inventory, or a file of `clusterctl plan INVENTORY --out FILE` (the \
         output of `plan --json` cannot be applied)",
        path = .0.display()
    )]
    NoPlan(PathBuf),
    #[error(
        "{path} has version {version} of the format, and this clusterctl reads up to {VERSION}; upgrade clusterctl",
        path = .path.display()
    )]
    Newer { path: PathBuf, version: u32 },
    #[error("{path} is a damaged saved plan; make it again with `plan --out`", path = .path.display())]
    Unsound {
        path: PathBuf,
        #[source]
        error: serde_json::Error,
    },
    #[error("the plan cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    #[error(
        "{options} cannot change a saved plan; make a new one with `clusterctl plan INVENTORY {options} --out FILE`",
        options = .0.join(" ")
    )]
    Contradiction(Vec<&'static str>),
}
