//! Reading and writing the file of a saved plan.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{FORMAT, SavedPlan, VERSION};
use crate::operator_files::{FileError, Rule, Untrusted, read_text};

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

/// What tells a saved plan, whatever its version.
#[derive(Deserialize)]
struct Mark {
    format: String,
    version: u32,
}

/// An inventory is TOML, of which no text begins with a brace.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn mark(text: &str) -> Option<u32> {
    let mark: Mark = serde_json::from_str(text).ok()?;
    (mark.format == FORMAT).then_some(mark.version)
}

/// Reads a saved plan, where one stands there.
pub(super) fn open(path: &Path) -> Result<Option<SavedPlan>, SavedError> {
    // What does not end or is gone once it was read, such as a pipe, is none. What else cannot be read here is told by who
    // reads the inventory.
    if !std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    match read_text(path, Rule::NoLink) {
        Ok(text) if is_json(&text) => parse(path, &text).map(Some),
        Err(FileError::Untrusted(why)) if looks_like_one(path) => Err(SavedError::Untrusted {
            path: path.to_path_buf(),
            why,
        }),
        _ => Ok(None),
    }
}

/// Whether a file that is not to be trusted would be taken for a saved plan.
fn looks_like_one(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| is_json(&text))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<SavedPlan, SavedError> {
    let path = path.to_path_buf();
    match mark(text) {
        None | Some(0) => Err(SavedError::NoPlan(path)),
        Some(version) if version > VERSION => Err(SavedError::Newer { path, version }),
        Some(_) => serde_json::from_str(text).map_err(|error| SavedError::Unsound { path, error }),
    }
}

/// Writes it for its owner only, to a file beside it that is renamed when it is whole.
pub(super) fn write(path: &Path, plan: &SavedPlan) -> Result<bool, SavedError> {
    let failed = |error| SavedError::Write {
        path: path.to_path_buf(),
        error,
    };
    let replaces = match std::fs::read_to_string(path) {
        Ok(text) if mark(&text).is_some() => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        // An inventory, most likely, or a device.
        Ok(_) => return Err(SavedError::InTheWay(path.to_path_buf())),
        Err(error) => {
            return Err(SavedError::Read {
                path: path.to_path_buf(),
                error,
            });
        }
    };
    let mut text = serde_json::to_string_pretty(plan).map_err(SavedError::Encode)?;
    text.push('\n');
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Its mode is 0600 from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    Ok(replaces)
}
