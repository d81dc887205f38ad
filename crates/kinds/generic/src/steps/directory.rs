//! `directory`: a directory with its owner and mode; its parents are made where they are missing.

use protocol::facts::{FileKind, FileQuery, Obstacle};
use protocol::{FactQuery, Operation, Query};
use types::HostName;

use crate::arguments::Args;
use crate::files::Access;
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};
use kit::{QUICK, action};

pub(crate) struct Directory {
    path: String,
    access: Access,
}

impl OnHost for Directory {
    const ARGUMENT: &'static str = "an argument of directory";

    fn read(args: &Args<'_>) -> Option<Self> {
        let path = args.path("path", "say where: path = \"/srv/data\"");
        let mode = match args.reader().value("mode") {
            Some(_) => args.mode("mode"),
            None => Some(0o755),
        };
        let (owner, group) = (args.account("owner"), args.account("group"));
        Some(Self {
            path: path?,
            access: Access {
                mode: mode?,
                owner: owner?,
                group: group?,
            },
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![FileQuery::meta(&self.path).wrap()]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let Self { path, access } = self;
        let fact = cx.facts.get(host, &FileQuery::meta(path))?;
        let (verb, reason) = match fact.meta() {
            None => ("create", "it is missing".to_owned()),
            Some(meta) if meta.kind != FileKind::Directory => {
                let obstacle = meta.obstacle().unwrap_or(Obstacle::File);
                return Err(NotPlanned::refused(
                    host,
                    format!("the directory {path} is not created on {host}"),
                    obstacle.to_string(),
                    obstacle.resolve(),
                ));
            }
            Some(meta) => {
                let found = Access {
                    mode: meta.mode,
                    owner: meta.owner.clone(),
                    group: meta.group.clone(),
                };
                if found == *access {
                    return Ok(None);
                }
                ("change", format!("it is {found} instead of {access}"))
            }
        };
        let operation = Operation::MakeDirectory {
            path: path.clone(),
            mode: access.mode,
            owner: access.owner.clone(),
            group: access.group.clone(),
            was: fact.directory_state(),
        };
        Ok(Some(Task::new(
            host,
            format!("{verb} the directory {path}"),
            reason,
            action(operation, QUICK),
        )))
    }
}
