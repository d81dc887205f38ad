//! A file as it will be when a step has its turn: as it is observed, or as an earlier step of the same plan is going to
//! write it.

use protocol::facts::FileQuery;
use protocol::{FileState, Operation, Text};
use types::HostName;

use crate::on_host::NotPlanned;
use kit::Cx;
use kit::hash;

/// The owner and the permission bits of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) group: String,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o} {}:{}", self.mode, self.owner, self.group)
    }
}

/// A file as it will be when a step has its turn.
pub(crate) enum PlannedFile {
    /// It is missing.
    Missing,
    /// It does not exist yet; an earlier step of the plan may bring it.
    Coming,
    /// It exists.
    Exists {
        /// Its text, where it is text.
        text: Option<Text>,
        /// Its owner and mode.
        access: Access,
        /// The state that a change of it relies on; [`FileState::Any`] where its bytes are not known yet.
        was: FileState,
    },
}

impl PlannedFile {
    /// The last text that an earlier step is going to write, else the facts.
    pub(crate) fn find(host: &HostName, query: &FileQuery, cx: &Cx<'_>) -> Result<Self, NotPlanned> {
        let path = &query.path;
        let written = cx.earlier_on(host).rev().find_map(|operation| match operation {
            Operation::WriteFile {
                path: written,
                text,
                mode,
                owner,
                group,
                ..
            } if written == path => Some(Self::Exists {
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
                Self::Missing
            });
        };
        if let Some(obstacle) = meta.obstacle() {
            return Err(NotPlanned::file(
                host,
                path,
                obstacle.to_string(),
                obstacle.resolve(),
            ));
        }
        Ok(Self::Exists {
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
