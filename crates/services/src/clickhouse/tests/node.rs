//! One host of the cluster in memory: its files, and what its processes have read.

use std::collections::BTreeMap;

use protocol::Text;
use protocol::facts::{FileKind, FileMeta, UnitFact};

#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that tests throw by itself"
)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) is_reachable: bool,
    pub(super) is_installed: bool,
    pub(super) files: BTreeMap<String, File>,
    pub(super) server: Unit,
    pub(super) zookeeper: Unit,
    /// What the server read, when it was started or told to read again.
    pub(super) loaded: BTreeMap<String, String>,
    /// What it read at its start.
    pub(super) started_with: BTreeMap<String, String>,
    /// What ZooKeeper read at its start.
    pub(super) zoo_cfg: String,
    pub(super) has_table: bool,
    pub(super) has_check_table: bool,
    pub(super) has_lost_session: bool,
    pub(super) delay: u64,
}

#[derive(Clone, Default)]
pub(super) struct Unit {
    pub(super) runs: bool,
    pub(super) is_enabled: bool,
    pub(super) started: i64,
}

#[derive(Clone)]
pub(super) struct File {
    pub(super) text: String,
    pub(super) mode: u32,
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) modified: i64,
    pub(super) kind: FileKind,
}

impl Unit {
    pub(super) fn fact(&self, exists: bool) -> UnitFact {
        UnitFact {
            load: if exists { "loaded" } else { "not-found" }.to_owned(),
            active: if self.runs { "active" } else { "inactive" }.to_owned(),
            sub: if self.runs { "running" } else { "dead" }.to_owned(),
            enabled: if self.is_enabled { "enabled" } else { "disabled" }.to_owned(),
            main_pid: u32::from(self.runs),
            started_us: if self.runs { self.started } else { 0 },
            invocation: String::new(),
            stale: false,
        }
    }
}

impl Node {
    pub(super) fn put(&mut self, path: &str, text: &str, mode: u32, owner: &str, group: &str, now: i64) {
        let file = File {
            text: text.to_owned(),
            mode,
            owner: owner.to_owned(),
            group: group.to_owned(),
            modified: now,
            kind: FileKind::File,
        };
        self.files.insert(path.to_owned(), file);
    }
}

impl File {
    pub(super) fn sha(&self) -> String {
        format!("{:x}", self.text.len())
            + &self
                .text
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
    }

    pub(super) fn meta(&self, text: bool) -> FileMeta {
        FileMeta {
            kind: self.kind,
            sha256: self.sha(),
            len: self.text.len() as u64,
            mode: self.mode,
            owner: self.owner.clone(),
            group: self.group.clone(),
            modified_us: self.modified,
            text: (text && self.kind == FileKind::File).then(|| Text::new(self.text.clone())),
        }
    }
}
