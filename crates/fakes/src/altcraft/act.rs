//! What the agents do, and what processes do by themselves.

use protocol::{ActionError, Operation, UnitVerb};

use super::main_json::{Role, line};
use super::{CONFIG, Cluster, PROGRAMS, Process};

impl Cluster {
    pub(super) fn act(&mut self, at: usize, operation: &Operation) -> Option<Result<(), ActionError>> {
        match operation {
            Operation::WriteFile { path, .. } | Operation::RestoreFile { path, .. } if path == CONFIG => {
                let now = self.tick();
                self.nodes[at].machine.put(operation, now)
            }
            Operation::Unit { name, verbs, .. } => {
                let number = PROGRAMS.iter().position(|program| program.unit == name)?;
                self.nodes[at].machine.note(operation);
                for verb in verbs {
                    self.tell(at, number, *verb);
                }
                Some(Ok(()))
            }
            _ => None,
        }
    }

    fn tell(&mut self, at: usize, number: usize, verb: UnitVerb) {
        let unit = PROGRAMS[number].unit;
        match verb {
            UnitVerb::DaemonReload | UnitVerb::ResetFailed => {}
            UnitVerb::Enable => self.nodes[at].machine.unit(unit).is_enabled = true,
            UnitVerb::Disable => self.nodes[at].machine.unit(unit).is_enabled = false,
            UnitVerb::Start if self.nodes[at].machine.runs(unit) => {}
            UnitVerb::Start | UnitVerb::Restart => self.start(at, number),
            UnitVerb::Stop => self.stop(at, number),
            UnitVerb::Reload => panic!("nobody reloads {unit}"),
        }
    }

    /// A start of ours: it must not make a second master.
    fn start(&mut self, at: usize, number: usize) {
        let is_master = |world: &Self| {
            let process = world.nodes[at].processes[number].as_ref();
            process.is_some_and(|process| process.role.is_master)
        };
        let was_master = is_master(self);
        self.launch(at, number);
        let masters = self.masters(number);
        if !was_master && is_master(self) && masters.len() > 1 {
            let names: Vec<String> = masters.iter().map(ToString::to_string).collect();
            let text = format!(
                "{} was started as another master: {}",
                PROGRAMS[number].name,
                names.join(", ")
            );
            self.violations.push(text);
        }
    }

    /// A stop of ours: for good where it does not start at boot.
    fn stop(&mut self, at: usize, number: usize) {
        let (name, program) = (self.nodes[at].name.clone(), &PROGRAMS[number]);
        let is_for_good = !self.nodes[at].machine.unit(program.unit).is_enabled;
        let process = self.nodes[at].processes[number].as_ref();
        if is_for_good && process.is_some_and(|process| process.role.is_master && process.role.is_clustered) {
            let text = format!(
                "{} on {name} was stopped for good, and is the master",
                program.name
            );
            self.violations.push(text);
        }
        self.halt(at, number);
        if is_for_good {
            self.nodes[at].has_joined = false;
        }
    }

    /// A process starts, anew where it runs.
    pub fn launch(&mut self, at: usize, number: usize) {
        let (now, program) = (self.tick(), &PROGRAMS[number]);
        let ready_us = now + self.pace.start_us;
        let node = &mut self.nodes[at];
        node.machine.unit(program.unit).start(now);
        node.processes[number] = match Role::read(node.machine.text(CONFIG), program) {
            Ok(role) => Some(Process {
                role,
                ready_us,
                has_said: false,
            }),
            Err(why) => {
                let pid = node.machine.unit_fact(program.unit).main_pid;
                node.logs[number].push(line("fatal", pid, "", &why.replace('"', "'")));
                node.machine.unit(program.unit).die();
                None
            }
        };
        self.settle();
    }

    pub fn halt(&mut self, at: usize, number: usize) {
        let node = &mut self.nodes[at];
        node.processes[number] = None;
        node.machine.unit(PROGRAMS[number].unit).stop();
    }

    pub(super) fn crash(&mut self, at: usize, number: usize) {
        let node = &mut self.nodes[at];
        if node.processes[number].take().is_some() {
            node.machine.unit(PROGRAMS[number].unit).die();
        }
    }
}
