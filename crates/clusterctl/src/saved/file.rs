//! Reading and writing the file of a saved plan.

use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::error::SavedError;
use super::format::{FORMAT, VERSION};
use super::plan::SavedPlan;
use crate::operator_files::{FileError, Rule, read_text};

/// The mark of a saved plan of any version.
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

/// The saved plan at a path; `None` where something else is there, such as an inventory, or nothing.
pub(crate) fn open(path: &Path) -> Result<Option<SavedPlan>, SavedError> {
    // A pipe does not end, or is gone once it was read, so it is no saved plan. Other errors are reported where the
    // inventory is read.
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

/// Whether a file that is not trusted looks like a saved plan.
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

/// Writes a saved plan for its owner only, whole or not at all: to a file beside it that is renamed. Whether it replaced an
/// older plan.
pub(crate) fn write(path: &Path, plan: &SavedPlan) -> Result<bool, SavedError> {
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
