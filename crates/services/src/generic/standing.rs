//! What stands at a file's path when a step's turn comes: what is seen now, or what an earlier step of the same plan
//! is going to write there.

use std::fmt::Write as _;

use plan::Preview;
use protocol::facts::{FileKind, FileQuery};
use protocol::{FileState, Operation, Piece, Text};
use sha2::{Digest, Sha256};
use types::HostName;

use super::on_host::Stop;
use crate::common::{QUICK, action};
use crate::step::{Cx, Task};

/// Who may do what with a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Access {
    pub(super) mode: u32,
    pub(super) owner: String,
    pub(super) group: String,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o} {}:{}", self.mode, self.owner, self.group)
    }
}

/// What stands at a path.
pub(super) enum Standing {
    /// Nothing.
    Nothing,
    /// Nothing yet; an earlier step of the plan may bring the file.
    Coming,
    /// A file.
    File {
        /// Its text, where it is text.
        text: Option<Text>,
        /// Its owner and mode.
        access: Access,
        /// What a change of it presumes; [`FileState::Any`] where a change cannot be made from its text yet.
        was: FileState,
    },
}

impl Standing {
    /// Looks at what an earlier step is going to write, then at the facts.
    pub(super) fn find(host: &HostName, query: &FileQuery, cx: &Cx<'_>) -> Result<Self, Stop> {
        let path = &query.path;
        let written = cx.earlier_on(host).rev().find_map(|operation| match operation {
            Operation::WriteFile {
                path: written,
                text,
                mode,
                owner,
                group,
                ..
            } if written == path => Some(Self::File {
                text: Some(text.clone()),
                access: Access {
                    mode: *mode,
                    owner: owner.clone(),
                    group: group.clone(),
                },
                was: hash(text).map_or(FileState::Any, FileState::Hash),
            }),
            _ => None,
        });
        if let Some(written) = written {
            return Ok(written);
        }
        let fact = cx.facts.get(host, query)?;
        let Some(meta) = fact.meta() else {
            let may_bring = |operation: &Operation| {
                matches!(
                    operation,
                    Operation::InstallPackages { .. } | Operation::Run { .. }
                )
            };
            return Ok(if cx.earlier_on(host).any(may_bring) {
                Self::Coming
            } else {
                Self::Nothing
            });
        };
        let (why, way_out) = match meta.kind {
            FileKind::File => {
                return Ok(Self::File {
                    text: meta.text.clone(),
                    access: Access {
                        mode: meta.mode,
                        owner: meta.owner.clone(),
                        group: meta.group.clone(),
                    },
                    was: fact.state(),
                });
            }
            FileKind::Link => (
                "a symbolic link stands there",
                "name the file that it leads to, or remove the link",
            ),
            FileKind::Directory => (
                "a directory stands there",
                "choose another path, or remove the directory",
            ),
            FileKind::Other => ("a device, socket or pipe stands there", "choose another path"),
        };
        Err(refused(host, path, why, way_out))
    }
}

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

/// The hash of what a text stands for; `None` where references in it make its bytes unknown here.
pub(super) fn hash(text: &Text) -> Option<String> {
    let pieces = text.pieces().ok()?;
    let plain = pieces.iter().all(|piece| matches!(piece, Piece::Plain(_)));
    plain.then(|| {
        let digest = Sha256::digest(text.as_str());
        digest.iter().fold(String::new(), |mut hash, byte| {
            // Writing to a string does not fail.
            let _written = write!(hash, "{byte:02x}").is_ok();
            hash
        })
    })
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
pub(super) type Edited = Result<Option<(String, String)>, CannotEdit>;

/// Why a text cannot be edited, and what the operator can do.
pub(super) struct CannotEdit {
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
