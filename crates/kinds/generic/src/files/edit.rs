//! Changes of text files: a whole new text, or an edit that keeps everything else.

use plan::Preview;
use protocol::facts::FileQuery;
use protocol::{FileState, Operation, Text};
use types::HostName;

use super::planned_file::{Access, PlannedFile};
use crate::on_host::NotPlanned;
use kit::{Cx, Task};
use kit::{QUICK, action};

/// A new text for a file.
pub(crate) struct Write<'a> {
    pub(crate) path: &'a str,
    pub(crate) before: Option<Text>,
    pub(crate) after: Text,
    pub(crate) access: &'a Access,
    pub(crate) was: FileState,
    pub(crate) reason: String,
}

impl Write<'_> {
    /// The task that writes it.
    pub(crate) fn task(self, host: &HostName) -> Task {
        let verb = match (&self.was, &self.before) {
            (FileState::Absent, _) => "create",
            (FileState::Any, None) => "write",
            _ => "change",
        };
        let operation = Operation::WriteFile {
            path: self.path.to_owned(),
            text: self.after.clone(),
            mode: self.access.mode,
            owner: self.access.owner.clone(),
            group: self.access.group.clone(),
            was: self.was,
            trial: None,
        };
        let preview = Preview::File {
            path: self.path.to_owned(),
            before: self.before,
            after: self.after,
        };
        Task::new(
            host,
            format!("{verb} {}", self.path),
            self.reason,
            action(operation, QUICK),
        )
        .preview(preview)
    }
}

/// A new text and why it is needed; `None` where the text is right; or why it cannot be made.
pub(crate) type Edited = Result<Option<(String, String)>, CannotEdit>;

/// Why a text cannot be edited, and how to resolve it.
pub struct CannotEdit {
    pub(crate) why: String,
    pub(crate) resolve: &'static str,
}

impl CannotEdit {
    pub(crate) fn new(why: impl Into<String>, resolve: &'static str) -> Self {
        Self {
            why: why.into(),
            resolve,
        }
    }
}

/// Plans an edit of an existing file: its other lines, owner and mode stay.
pub(crate) fn edit(
    host: &HostName,
    query: &FileQuery,
    cx: &Cx<'_>,
    change: impl FnOnce(&str) -> Edited,
) -> Result<Option<Task>, NotPlanned> {
    let path = &query.path;
    let (text, access, was) = match PlannedFile::find(host, query, cx)? {
        PlannedFile::Exists { text, access, was } => (text, access, was),
        PlannedFile::Coming => {
            return Err(NotPlanned::Unplanned(format!(
                "{path} does not exist before earlier steps have run: plan again then"
            )));
        }
        PlannedFile::Missing => {
            let resolve = "create it with a `file` step before this one, or install what brings it";
            return Err(NotPlanned::file(host, path, "it is missing", resolve));
        }
    };
    let Some(text) = text else {
        return Err(NotPlanned::file(
            host,
            path,
            "it is not a text",
            "edit another file",
        ));
    };
    let changed =
        change(text.as_str()).map_err(|cannot| NotPlanned::file(host, path, cannot.why, cannot.resolve))?;
    let Some((after, reason)) = changed else {
        return Ok(None);
    };
    if was == FileState::Any {
        return Err(NotPlanned::Unplanned(format!(
            "an earlier step writes secrets to {path}, and only then can it be edited: plan again then"
        )));
    }
    let write = Write {
        path,
        before: Some(text),
        after: Text::new(after),
        access: &access,
        was,
        reason,
    };
    Ok(Some(write.task(host)))
}
