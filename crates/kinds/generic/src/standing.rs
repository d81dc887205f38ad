//! What stands at a file's path when a step's turn comes: what is seen now, or what an earlier step of the same plan
//! is going to write there.

use protocol::facts::FileQuery;
use protocol::{FileState, Operation, Text};
use types::HostName;

use super::edit::refused;
use super::on_host::Stop;
use kit::Cx;
use kit::hash;

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
        if let Some(obstacle) = meta.obstacle() {
            return Err(refused(host, path, obstacle.to_string(), obstacle.way_out()));
        }
        Ok(Self::File {
            text: meta.text.clone(),
            access: Access {
                mode: meta.mode,
                owner: meta.owner.clone(),
                group: meta.group.clone(),
            },
            was: fact.state(),
        })
    }
}
