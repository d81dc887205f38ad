//! What the agents do.

use protocol::facts::{FileKind, SsdbFact};
use protocol::{ActionError, FileChange, Operation, Text, UnitVerb};

use super::{CONFIG, Cluster, DIR, UNIT};
use crate::Machine;

type Done = Result<(), ActionError>;

fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

impl Cluster {
    pub(super) fn act(&mut self, at: usize, operation: &Operation) -> Option<Done> {
        let is_ours = |path: &str| path == CONFIG || path.starts_with(DIR);
        match operation {
            Operation::WriteFile { path, .. }
            | Operation::RestoreFile { path, .. }
            | Operation::MakeDirectory { path, .. }
            | Operation::SetAccess { path, .. }
                if is_ours(path) =>
            {
                let now = self.tick();
                self.nodes[at].machine.put(operation, now)
            }
            Operation::Unit { name, verbs, .. } if name == UNIT => {
                self.nodes[at].machine.note(operation);
                for verb in verbs {
                    self.tell(at, *verb);
                }
                Some(Ok(()))
            }
            Operation::UnitFiles {
                name,
                first,
                files,
                verbs,
                ..
            } if name == UNIT => {
                self.nodes[at].machine.note(operation);
                for verb in first {
                    self.tell(at, *verb);
                }
                for file in files {
                    if let Err(error) = self.change(at, file) {
                        return Some(Err(error));
                    }
                }
                for verb in verbs {
                    self.tell(at, *verb);
                }
                Some(Ok(()))
            }
            Operation::Ssdb { .. } => Some(self.ssdb(at, operation)),
            _ => None,
        }
    }

    fn tell(&mut self, at: usize, verb: UnitVerb) {
        match verb {
            UnitVerb::DaemonReload | UnitVerb::ResetFailed => {}
            UnitVerb::Enable => self.nodes[at].machine.unit(UNIT).is_enabled = true,
            UnitVerb::Disable => self.nodes[at].machine.unit(UNIT).is_enabled = false,
            UnitVerb::Start if self.nodes[at].machine.runs(UNIT) => {}
            UnitVerb::Start | UnitVerb::Restart => {
                self.launch(at);
                self.nodes[at].is_ours = true;
                self.nodes[at].is_fresh = true;
            }
            UnitVerb::Stop => self.halt(at),
            UnitVerb::Reload => panic!("nobody reloads {UNIT}"),
        }
        let unit = self.nodes[at].machine.unit(UNIT);
        if !unit.is_enabled && unit.started_us.is_none() && self.nodes[at].has_joined {
            self.leave(at);
        }
    }

    /// It is stopped for good: what clients wrote there must be on all others by now.
    fn leave(&mut self, at: usize) {
        self.nodes[at].has_joined = false;
        let name = self.nodes[at].name.clone();
        let own = self.nodes[at].disk.as_ref().map_or(0, |disk| disk.last_own);
        for node in self.nodes.iter().filter(|node| node.has_joined) {
            let held = node.disk.as_ref().map_or(0, |disk| disk.position(name.as_str()));
            if held < own {
                let text = format!(
                    "{name} was stopped for good before {} had what clients wrote there: {held} of {own} changes",
                    node.name
                );
                self.violations.push(text);
            }
        }
    }

    /// Commands are sent to the host's own server.
    fn ssdb(&mut self, at: usize, operation: &Operation) -> Done {
        let Operation::Ssdb {
            address,
            port,
            commands,
            until,
            ..
        } = operation
        else {
            return Ok(());
        };
        match self.server(at, address, *port) {
            Ok(found) if found == at => {}
            Ok(_) => panic!("{address} is not {}", self.nodes[at].name),
            Err(SsdbFact::Down(silence)) => return Err(failed(silence.words)),
            Err(SsdbFact::Denied(why)) => return Err(failed(why)),
            Err(SsdbFact::Replies { .. }) => return Ok(()),
        }
        let last = until.as_ref().map_or(0, |until| until.at_least);
        let changes = |world: &Self| world.nodes[at].disk.as_ref().map_or(0, |disk| disk.log.len());
        while until.is_none() || (changes(self) as u64) < last {
            for command in commands {
                let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
                match words.as_slice() {
                    ["set", key, value] => self.client_sets(at, key, Some(value)),
                    ["del", key] => self.client_sets(at, key, None),
                    other => panic!("{other:?} is no command that this world knows"),
                }
            }
            if until.is_none() {
                break;
            }
        }
        self.settle();
        Ok(())
    }

    fn change(&mut self, at: usize, change: &FileChange) -> Done {
        let now = self.tick();
        match change {
            FileChange::Remove { path, .. } => {
                self.nodes[at].machine.files.remove(path);
                Ok(())
            }
            FileChange::MoveAside { path, to } if path == DIR => self.move_away(at, to),
            FileChange::MakeDirectory { path, .. } if path == DIR => {
                self.nodes[at].make_dir(now);
                Ok(())
            }
            other => panic!("{other:?} is no change that this world knows"),
        }
    }

    /// Renames the directory. A process that runs on would go on with what is there.
    fn move_away(&mut self, at: usize, aside: &str) -> Done {
        let node = &mut self.nodes[at];
        assert!(node.process.is_none(), "{} still runs in {DIR}", node.name);
        if node.aside.iter().any(|(path, _)| path == aside) {
            return Err(failed(format!("cannot move {DIR}: {aside} is there")));
        }
        if node.machine.files.remove(DIR).is_none() {
            return Err(failed(format!(
                "mv: cannot stat {DIR}: No such file or directory"
            )));
        }
        node.machine
            .files
            .retain(|path, _| !path.starts_with(&format!("{DIR}/")));
        if let Some(disk) = node.disk.take() {
            if !disk.data.is_empty() {
                self.violations
                    .push(format!("the data of {} were moved away", node.name));
            }
            node.aside.push((aside.to_owned(), disk));
        }
        Ok(())
    }
}

impl super::Node {
    /// The directory of the data.
    pub fn make_dir(&mut self, now_us: i64) {
        self.machine.write(DIR, "", 0o750, "ssdb", now_us);
        if let Some(dir) = self.machine.files.get_mut(DIR) {
            dir.kind = FileKind::Directory;
        }
    }
}

/// The file in which a running server writes its number.
pub(super) fn pid_file() -> String {
    format!("{DIR}/ssdb.pid")
}

/// The directory inside in which a server that ran has its data.
pub(super) fn put_data_dir(machine: &mut Machine, now_us: i64) {
    let path = format!("{DIR}/data");
    machine.write(&path, "", 0o755, "ssdb", now_us);
    if let Some(dir) = machine.files.get_mut(&path) {
        dir.kind = FileKind::Directory;
    }
}
