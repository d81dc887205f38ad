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
    #[error("the plan in {path} is not read: somebody else could have written it", path = .path.display())]
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
    #[error("{path} is there and is no saved plan; it was left as it is. Name another file after --out", path = .0.display())]
    InTheWay(PathBuf),
    #[error("where {path} is cannot be told", path = .path.display())]
    Path {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("the path {0:?} is not UTF-8, and cannot be written down in a plan")]
    NotText(PathBuf),
    #[error(
        "{path} is JSON, and no saved plan. `apply` takes an inventory, or what `clusterctl plan INVENTORY --out FILE` \
         wrote; the output of `plan --json` is for reading",
        path = .0.display()
    )]
    NoPlan(PathBuf),
    #[error(
        "{path} was written by a newer clusterctl: version {version} of the format, and this one reads up to {VERSION}",
        path = .path.display()
    )]
    Newer { path: PathBuf, version: u32 },
    #[error("{path} is a saved plan that does not hold together; make it again with `plan --out`", path = .path.display())]
    Unsound {
        path: PathBuf,
        #[source]
        error: serde_json::Error,
    },
    #[error("the plan cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    #[error(
        "a saved plan is run as it is, and {options} would make it another one; make that one with `clusterctl plan \
         INVENTORY {options} --out FILE`",
        options = .0.join(" ")
    )]
    Contradiction(Vec<&'static str>),
}
