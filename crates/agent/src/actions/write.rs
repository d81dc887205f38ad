//! Writing a file: whole or not at all, never over something that the plan did not see, and where there is a trial, not
//! before that.

use std::path::{Path, PathBuf};

use protocol::{ActionError, Change, FileState, Text, TextError, Trial};
use thiserror::Error;
use zeroize::Zeroizing;

use super::act::{Act, failed};
use super::backup;
use crate::host::Host;
use tree::{Access, Draft, Open, Place, TreeError, sha256};

/// Why a file was not written.
#[derive(Debug, Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("cannot make the text of {}: {source}", path.display())]
    Text { path: PathBuf, source: TextError },
    #[error("{} {found}, and {expected} when the plan was made", path.display())]
    Changed {
        path: PathBuf,
        expected: String,
        found: String,
    },
    /// The trial did not accept it.
    #[error(transparent)]
    Tried(ActionError),
}

impl From<WriteError> for ActionError {
    fn from(error: WriteError) -> Self {
        let what = error.to_string();
        match error {
            WriteError::Changed { .. } => Self::Changed { what },
            WriteError::Tried(error) => error,
            _ => Self::Failed { message: what },
        }
    }
}

/// Writes the file where `was` still stands at its path.
pub(super) fn write(
    act: &Act<'_>,
    path: &str,
    text: &Text,
    access: Access,
    was: &FileState,
    trial: Option<&Trial>,
) -> Result<Change, WriteError> {
    let host = act.host;
    let place = Place::require(Path::new(path))?;
    let old = read(&place)?;
    expect(&place, old.as_ref(), was)?;
    let original = old.as_ref().map_or(&[][..], |old| &old.content);
    let revealed = host.secrets().reveal(text, original);
    let content = revealed.map_err(|source| WriteError::Text {
        path: place.path.clone(),
        source,
    })?;
    match &old {
        Some(old) if *old.content == *content => adjust(host, &place, old, access),
        _ => {
            let draft = Draft::write(&place.folder, &place.name, &content, access)?;
            if let Some(trial) = trial {
                try_out(act, path, &draft, trial).map_err(WriteError::Tried)?;
            }
            publish(host, &place, old.as_ref(), draft, &content)
        }
    }
}

/// Has a program try a file that is not in its place yet.
fn try_out(act: &Act<'_>, path: &str, draft: &Draft<'_>, trial: &Trial) -> Result<(), ActionError> {
    let candidate = draft.path();
    let output = act.program(&trial.of(&candidate.to_string_lossy()), &[], &[])?;
    if output.status == 0 {
        return Ok(());
    }
    let program = trial.argv.first().map_or("the trial", String::as_str);
    Err(failed(format!(
        "{path} is left as it is: {program} does not accept the new file (exit status {}):\n{}",
        output.status,
        act.said(&output).trim_end()
    )))
}

/// Gives a file that is as it was seen another owner and mode.
pub(super) fn set_access(
    host: &Host,
    path: &str,
    access: Access,
    was: &FileState,
) -> Result<Change, WriteError> {
    let place = Place::require(Path::new(path))?;
    let old = read(&place)?;
    expect(&place, old.as_ref(), was)?;
    match &old {
        Some(old) => adjust(host, &place, old, access),
        None => Err(TreeError::io("open", &place.path)(rustix::io::Errno::NOENT).into()),
    }
}

/// The content is right already; its owner and mode may not be. They are set on the file that was read, not on what has
/// its name by now.
fn adjust(host: &Host, place: &Place, old: &Old, access: Access) -> Result<Change, WriteError> {
    let path = place.path.display();
    if access.fits(&old.file.meta) {
        return Ok(change(format!("{path} is already as wanted"), None));
    }
    if !old.file.is_at(place) {
        return Err(TreeError::Replaced(place.path.clone()).into());
    }
    old.file.give(access)?;
    if let (Some(name), Ok(is)) = (place.path.to_str(), old.file.file.metadata()) {
        host.stamp(|stamps, lock| stamps.access_changed(lock, name, &old.file.meta, &is));
    }
    Ok(change(format!("changed the owner or mode of {path}"), None))
}

/// Puts another content in the place of what was read, and keeps that.
pub(super) fn replace(
    host: &Host,
    place: &Place,
    old: Option<&Old>,
    content: &[u8],
    access: Access,
) -> Result<Change, WriteError> {
    let draft = Draft::write(&place.folder, &place.name, content, access)?;
    publish(host, place, old, draft, content)
}

fn publish(
    host: &Host,
    place: &Place,
    old: Option<&Old>,
    draft: Draft<'_>,
    content: &[u8],
) -> Result<Change, WriteError> {
    let backup = old.map(|old| keep(host, place, old)).transpose()?;
    // Flushing took its time, and a service may have rewritten its file meanwhile.
    let now = read(place)?;
    let state = |old: Option<&Old>| old.map_or(FileState::Absent, Old::state);
    expect(place, now.as_ref(), &state(old))?;
    draft.replace(&place.name)?;
    let summary = format!("wrote {} ({} bytes)", place.path.display(), content.len());
    Ok(Change {
        wrote: Some(sha256(content)),
        ..change(summary, backup)
    })
}

/// Keeps what stands there.
pub(super) fn keep(host: &Host, place: &Place, old: &Old) -> Result<PathBuf, TreeError> {
    backup::keep(&host.options.backups, &place.path, &old.content, &old.file.meta)
}

pub(super) fn change(summary: String, backup: Option<PathBuf>) -> Change {
    Change {
        summary,
        backup: backup.map(|path| path.display().to_string()),
        wrote: None,
    }
}

pub(super) fn read(place: &Place) -> Result<Option<Old>, TreeError> {
    let Some(mut file) = place.file()? else {
        return Ok(None);
    };
    let content = file.read()?;
    Ok(Some(Old { file, content }))
}

pub(super) fn expect(place: &Place, found: Option<&Old>, was: &FileState) -> Result<(), WriteError> {
    let as_planned = match (found, was) {
        (_, FileState::Any) | (None, FileState::Absent) => true,
        (Some(old), FileState::Hash(_)) => old.state() == *was,
        _ => false,
    };
    if as_planned {
        return Ok(());
    }
    Err(WriteError::Changed {
        path: place.path.clone(),
        expected: was_words(was, "was"),
        found: was_words(&found.map_or(FileState::Absent, Old::state), "is"),
    })
}

fn was_words(state: &FileState, verb: &str) -> String {
    match state {
        FileState::Absent => format!("{verb} absent"),
        FileState::Hash(hash) => format!("{verb} sha256:{}", hash.get(..12).unwrap_or(hash)),
        FileState::Any => format!("{verb} in any state"),
        FileState::Obstructed(obstacle) => format!("{verb} no file to write ({obstacle})"),
    }
}

/// What stands there.
pub(super) struct Old {
    pub(super) file: Open,
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl Old {
    fn state(&self) -> FileState {
        FileState::Hash(sha256(&self.content))
    }
}
