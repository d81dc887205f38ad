//! Carrying tasks out in the world: what actions do to its hosts, and what gates see afterwards.

use plan::{Facts, Verdict};
use protocol::{Command, FileState, Operation, Text, UnitVerb};

use super::world::{CONFIG, DIR, UNIT, World};
use crate::kind::Service;
use crate::step::Task;

impl World {
    /// Carries a task out with its preconditions, and waits for its gates: the first verdict that is not a pass.
    pub(super) fn perform(&mut self, service: &dyn Service, task: &Task) -> Result<(), String> {
        let name = task.host.as_str();
        for condition in task.action.iter().flat_map(|action| &action.only_if) {
            let seen = self.answer(&self.nodes[self.at(name)], &condition.query);
            assert_eq!(seen.as_ref(), Some(&condition.fact), "{}", condition.what);
        }
        if let Some(action) = &task.action {
            self.operate(name, &action.operation);
        }
        for gate in &task.gates {
            let mut facts = Facts::default();
            for (host, queries) in &gate.watch {
                self.gather(&mut facts, host, queries.clone());
            }
            match service.judge(&gate.check, gate.host.as_ref(), &facts) {
                Verdict::Pass => {}
                Verdict::Wait(why) | Verdict::Fail(why) => return Err(format!("{}: {why}", gate.title)),
            }
        }
        Ok(())
    }

    fn operate(&mut self, name: &str, operation: &Operation) {
        match operation {
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                was,
                ..
            } => {
                assert_eq!(path, CONFIG);
                let is_absent = self.node(name).file.is_none();
                assert_eq!(is_absent, *was == FileState::Absent);
                assert_eq!(owner, "ssdb");
                self.write(name, text.as_str());
                self.node(name).file.as_mut().expect("written").1 = *mode;
            }
            Operation::MakeDirectory { path, .. } => {
                assert_eq!(path, DIR);
                self.node(name).disk.get_or_insert_default();
            }
            Operation::Unit { name: unit, verbs } => {
                assert_eq!(unit, UNIT);
                for verb in verbs {
                    match verb {
                        UnitVerb::Enable => self.node(name).is_enabled = true,
                        UnitVerb::Start | UnitVerb::Restart => self.start(name),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Operation::Run { commands } => commands.iter().for_each(|command| self.command(name, command)),
            Operation::Ssdb {
                address,
                commands,
                until,
                ..
            } => {
                assert_eq!(self.nodes[self.at(address)].name, name);
                let last = until.as_ref().map_or(0, |until| until.at_least);
                while until.is_none() || self.changes(name) < last {
                    for command in commands {
                        let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
                        match words.as_slice() {
                            ["set", key, value] => self.set(name, key, Some(value)),
                            ["del", key] => self.set(name, key, None),
                            other => panic!("{other:?}"),
                        }
                    }
                    if until.is_none() {
                        break;
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, name: &str, command: &Command) {
        let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["systemctl", "stop", UNIT] => self.stop(name),
            ["systemctl", "start" | "restart", UNIT] => self.start(name),
            ["systemctl", "enable", UNIT] => self.node(name).is_enabled = true,
            ["mv", "-T", "--", DIR, aside] => {
                assert!(aside.starts_with(&format!("{DIR}.before-")), "{aside}");
                let node = self.node(name);
                let disk = node.disk.take().expect("it is there");
                node.aside.push(disk);
            }
            ["install", .., DIR] => drop(self.node(name).disk.get_or_insert_default()),
            ["rm", "-f", "--", _] => self.node(name).has_pid_file = false,
            ["chown", "ssdb:ssdb", "--", CONFIG] => self.node(name).file.as_mut().expect("a file").2 = "ssdb",
            ["chmod", "0640", "--", CONFIG] => self.node(name).file.as_mut().expect("a file").1 = 0o640,
            other => panic!("{other:?}"),
        }
    }
}
