//! A change of a file, and why a host's files cannot be planned.

use plan::{Preview, Refusal, Unknown};
use protocol::facts::FileMeta;
use protocol::{FileState, Operation, Text};
use thiserror::Error;
use types::HostName;

use super::coordination::ids::Conflict;
use kit::{QUICK, Task, action};

/// Why a host's files cannot be planned.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Stop {
    /// A fact is missing.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// They must not be changed; the step `check` refuses it.
    #[error("{}", .0.why)]
    Refused(Box<Refusal>),
    /// The voters have no numbers; the step `check` refuses it.
    #[error(transparent)]
    Numbers(#[from] Conflict),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Stop {
    /// The tasks, and none where the step `check` refuses them.
    pub(crate) fn unless_refused<T>(planned: Result<T, Self>) -> Result<Option<T>, Unknown> {
        match planned {
            Ok(planned) => Ok(Some(planned)),
            Err(Self::Unknown(unknown)) => Err(unknown),
            Err(Self::Refused(_) | Self::Numbers(_)) => Ok(None),
        }
    }
}

/// A file with another text or other permissions.
pub(crate) struct FileChange<'a> {
    pub(crate) path: &'a str,
    pub(crate) before: Option<Text>,
    pub(crate) after: Text,
    /// Its state right before the change.
    pub(crate) was: FileState,
    pub(crate) mode: u32,
    pub(crate) owner: &'a str,
    pub(crate) group: &'a str,
}

impl<'a> FileChange<'a> {
    /// Another text, and the permissions that the file has.
    pub(crate) fn of_text(
        path: &'a str,
        meta: Option<&'a FileMeta>,
        before: Option<Text>,
        after: Text,
        was: FileState,
    ) -> Self {
        Self {
            path,
            before,
            after,
            was,
            mode: meta.map_or(0o644, |meta| meta.mode),
            owner: meta.map_or("root", |meta| &meta.owner),
            group: meta.map_or("root", |meta| &meta.group),
        }
    }

    /// The task.
    pub(crate) fn task(self, host: &HostName, verb: &str, reason: impl Into<String>) -> Task {
        let path = self.path.to_owned();
        let title = format!("{verb} {path}");
        let preview = Preview::File {
            path: path.clone(),
            before: self.before,
            after: self.after.clone(),
        };
        let operation = Operation::WriteFile {
            path,
            text: self.after,
            mode: self.mode,
            owner: self.owner.to_owned(),
            group: self.group.to_owned(),
            was: self.was,
            trial: None,
        };
        Task::new(host, title, reason, action(operation, QUICK)).preview(preview)
    }
}
