//! Writing a file: whole or not at all, and never over something that the plan did not see.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};

use protocol::{ActionError, Change, FileState, Text, TextError};
use thiserror::Error;
use zeroize::Zeroizing;

use super::backup;
use super::draft::{Access, Draft, DraftError, io_error};
use crate::facts::{hash, is_absent};
use crate::host::Host;

/// Why a file was not written.
#[derive(Debug, Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is not the absolute path of a file", .0.display())]
    NoPath(PathBuf),
    #[error("cannot make the text of {}: {source}", path.display())]
    Text { path: PathBuf, source: TextError },
    #[error("{} {found}, and {expected} when the plan was made", path.display())]
    Changed {
        path: PathBuf,
        expected: String,
        found: String,
    },
}

impl From<WriteError> for ActionError {
    fn from(error: WriteError) -> Self {
        let what = error.to_string();
        match error {
            WriteError::Changed { .. } => Self::Changed { what },
            _ => Self::Failed { message: what },
        }
    }
}

/// What shall stand at a path.
pub(super) struct Wanted<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a Text,
    pub(super) mode: u32,
    pub(super) owner: &'a str,
    pub(super) group: &'a str,
}

/// Writes the file where `was` still stands at its path.
pub(super) fn write(host: &Host, wanted: &Wanted<'_>, was: &FileState) -> Result<Change, WriteError> {
    let access = Access::of(wanted.mode, wanted.owner, wanted.group)?;
    let place = Place::find(wanted.path)?;
    let old = place.read()?;
    place.expect(old.as_ref(), was)?;
    let original = old.as_ref().map_or(&[][..], |old| &old.content);
    let revealed = host.secrets().reveal(wanted.text, original);
    let content = revealed.map_err(|source| WriteError::Text {
        path: place.path.clone(),
        source,
    })?;
    match &old {
        Some(old) if *old.content == *content => adjust(&place, old, access),
        _ => replace(host, &place, old.as_ref(), &content, access),
    }
}

/// The content is right already; its owner and mode may not be.
fn adjust(place: &Place, old: &Old, access: Access) -> Result<Change, WriteError> {
    let path = place.path.display();
    if access.fits(&old.meta) {
        return Ok(change(format!("{path} is already as wanted"), None));
    }
    let file = File::open(&place.path).map_err(io_error("open", &place.path))?;
    access.give(&file, &place.path)?;
    Ok(change(format!("changed the owner or mode of {path}"), None))
}

fn replace(
    host: &Host,
    place: &Place,
    old: Option<&Old>,
    content: &[u8],
    access: Access,
) -> Result<Change, WriteError> {
    let draft = Draft::write(&place.directory, &place.name, content, access)?;
    let backup = match old {
        Some(old) => Some(backup::keep(
            &host.options.backups,
            &place.path,
            &old.content,
            &old.meta,
        )?),
        None => None,
    };
    // Flushing took its time, and a service may have rewritten its file meanwhile.
    let now = place.read()?;
    let state = |old: Option<&Old>| old.map_or(FileState::Absent, Old::state);
    place.expect(now.as_ref(), &state(old))?;
    draft.replace(&place.path)?;
    let summary = format!("wrote {} ({} bytes)", place.path.display(), content.len());
    Ok(change(summary, backup))
}

fn change(summary: String, backup: Option<PathBuf>) -> Change {
    Change {
        summary,
        backup: backup.map(|path| path.display().to_string()),
    }
}

/// Where the file really is.
struct Place {
    path: PathBuf,
    directory: PathBuf,
    name: std::ffi::OsString,
    /// Whether the path that was named is a symbolic link to it.
    linked: bool,
}

impl Place {
    /// Follows a symbolic link, which stays.
    fn find(path: &str) -> Result<Self, WriteError> {
        let named = Path::new(path);
        let linked = fs::symlink_metadata(named).is_ok_and(|meta| meta.is_symlink());
        let path = if linked {
            fs::canonicalize(named).map_err(io_error("follow the link", named))?
        } else {
            named.to_owned()
        };
        match (path.parent(), path.file_name()) {
            (Some(directory), Some(name)) if path.is_absolute() => Ok(Self {
                directory: directory.to_owned(),
                name: name.to_owned(),
                linked,
                path,
            }),
            _ => Err(WriteError::NoPath(path)),
        }
    }

    fn read(&self) -> Result<Option<Old>, WriteError> {
        let meta = match fs::symlink_metadata(&self.path) {
            Ok(meta) => meta,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(io_error("look at", &self.path)(error).into()),
        };
        if !meta.is_file() {
            return Err(WriteError::NotAFile(self.path.clone()));
        }
        let content = fs::read(&self.path).map_err(io_error("read", &self.path))?;
        Ok(Some(Old {
            meta,
            content: Zeroizing::new(content),
        }))
    }

    fn expect(&self, found: Option<&Old>, was: &FileState) -> Result<(), WriteError> {
        let as_planned = match (found, was) {
            (_, FileState::Any) | (None, FileState::Absent) => true,
            // A link has no hash of its own: the plan saw the link.
            (_, FileState::Hash(hash)) if hash.is_empty() && self.linked => true,
            (Some(old), FileState::Hash(hash)) => old.state() == FileState::Hash(hash.clone()),
            _ => false,
        };
        if as_planned {
            return Ok(());
        }
        Err(WriteError::Changed {
            path: self.path.clone(),
            expected: was_words(was, "was"),
            found: was_words(&found.map_or(FileState::Absent, Old::state), "is"),
        })
    }
}

fn was_words(state: &FileState, verb: &str) -> String {
    match state {
        FileState::Absent => format!("{verb} absent"),
        FileState::Hash(hash) => format!("{verb} sha256:{}", hash.get(..12).unwrap_or(hash)),
        FileState::Any => format!("{verb} of no matter"),
    }
}

/// What stands there.
struct Old {
    meta: Metadata,
    content: Zeroizing<Vec<u8>>,
}

impl Old {
    fn state(&self) -> FileState {
        FileState::Hash(hash(&self.content))
    }
}
