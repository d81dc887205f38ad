//! Changes of text files: a whole new text, or an edit that leaves everything else as it stands.

use plan::Preview;
use protocol::facts::FileQuery;
use protocol::{FileState, Operation, Text};
use types::HostName;

use super::on_host::Stop;
use super::standing::{Access, Standing};
use kit::{Cx, Task};
use kit::{QUICK, action};

/// A refusal to change a file.
pub(super) fn refused(
    host: &HostName,
    path: &str,
    why: impl Into<String>,
    way_out: impl Into<String>,
) -> Stop {
    Stop::Refused {
        what: format!("{path} is not changed on {host}"),
        why: why.into(),
        way_out: way_out.into(),
    }
}

/// A new text for a file.
pub(super) struct Write<'a> {
    pub(super) path: &'a str,
    pub(super) before: Option<Text>,
    pub(super) after: Text,
    pub(super) access: &'a Access,
    pub(super) was: FileState,
    pub(super) reason: String,
}

impl Write<'_> {
    /// The task that writes it.
    pub(super) fn task(self, host: &HostName) -> Task {
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

/// Why a text cannot be edited, and what the operator can do.
pub struct CannotEdit {
    pub(super) why: String,
    pub(super) way_out: &'static str,
}

impl CannotEdit {
    pub(super) fn new(why: impl Into<String>, way_out: &'static str) -> Self {
        Self {
            why: why.into(),
            way_out,
        }
    }
}

/// Plans an edit of a file that is there: its other lines, owner and mode stay.
pub(super) fn edit(
    host: &HostName,
    query: &FileQuery,
    cx: &Cx<'_>,
    change: impl FnOnce(&str) -> Edited,
) -> Result<Option<Task>, Stop> {
    let path = &query.path;
    let (text, access, was) = match Standing::find(host, query, cx)? {
        Standing::File { text, access, was } => (text, access, was),
        Standing::Coming => {
            return Err(Stop::Unplanned(format!(
                "{path} is not there before earlier steps have run: plan again then"
            )));
        }
        Standing::Nothing => {
            let way_out = "make it with a `file` step before this one, or install what brings it";
            return Err(refused(host, path, "it is missing", way_out));
        }
    };
    let Some(text) = text else {
        return Err(refused(host, path, "it is not a text", "edit another file"));
    };
    let changed = change(text.as_str()).map_err(|cannot| refused(host, path, cannot.why, cannot.way_out))?;
    let Some((after, reason)) = changed else {
        return Ok(None);
    };
    if was == FileState::Any {
        return Err(Stop::Unplanned(format!(
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
