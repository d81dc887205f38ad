//! How the world obeys the agent's actions.

use plan::{Facts, HostFacts, Verdict};
use protocol::{FileState, Operation, UnitVerb};

use super::answers::{hash, words};
use super::world::World;
use crate::kind::Service;
use crate::step::{StepPlan, Task};

impl World {
    /// Does what a task says, after its preconditions and before its gates were checked.
    pub(super) fn perform(&mut self, service: &dyn Service, task: &Task) {
        let name = self.node(task.host.as_str()).name;
        if let Some(action) = &task.action {
            for condition in &action.only_if {
                let found = self.answer(self.node(name), &condition.query);
                assert_eq!(found, condition.fact, "{}: {}", task.title, condition.what);
            }
            self.operate(name, &action.operation);
        }
        for gate in &task.gates {
            let mut facts = Facts::default();
            for (at, queries) in &gate.watch {
                let node = self.node(at.as_str());
                let answers = queries
                    .iter()
                    .map(|query| (query.clone(), Ok(self.answer(node, query))));
                facts.add(at.clone(), HostFacts::Observed(answers.collect()));
            }
            let verdict = service.judge(&gate.check, gate.host.as_ref(), &facts);
            // Sentinels that start side by side are started one after another here.
            let is_last = gate.check != "sentinel-agrees" || task.action.is_none();
            assert!(
                verdict == Verdict::Pass || !is_last,
                "{}: {verdict:?}",
                gate.title
            );
        }
    }

    fn operate(&mut self, name: &'static str, operation: &Operation) {
        match operation {
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                was,
                ..
            } => {
                let before = self.node(name).files.get(path).map(|file| hash(&file.0));
                match was {
                    FileState::Absent => assert_eq!(before, None, "{path}"),
                    FileState::Hash(hash) => assert_eq!(before.as_ref(), Some(hash), "{path}"),
                    FileState::Any => {}
                }
                assert_eq!(owner, self.owner(path));
                self.write(name, path, text.as_str());
                self.node_mut(name).files.get_mut(path).expect("it was written").1 = *mode;
            }
            Operation::Unit { name: unit, verbs } => {
                for verb in verbs {
                    let is_sentinel = unit.contains("sentinel");
                    match verb {
                        UnitVerb::Enable if is_sentinel => self.node_mut(name).sentinel_is_enabled = true,
                        UnitVerb::Enable => self.node_mut(name).is_enabled = true,
                        UnitVerb::Start | UnitVerb::Restart if is_sentinel => self.restart_sentinel(name),
                        UnitVerb::Start | UnitVerb::Restart => self.restart(name),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Operation::Resp { port, commands, .. } => {
                for command in commands {
                    self.command(name, *port, &words(command));
                }
            }
            Operation::Run { commands } => {
                for command in commands {
                    let [sed, _, _, script, path] = command.argv.as_slice() else {
                        panic!("{command:?}");
                    };
                    assert_eq!((sed.as_str(), path.as_str()), ("sed", self.config()));
                    self.edit(name, |text| edit_with_sed(text, script));
                }
            }
            Operation::InstallPackages { .. } => super::install(self, name),
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, name: &'static str, port: u16, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["SENTINEL", "FAILOVER", _] => self.fail_over(),
            ["SENTINEL", rest @ ..] => {
                let sentinel = self.node_mut(name).sentinel.as_mut().expect("a sentinel");
                assert_eq!(sentinel.port, port);
                sentinel.command(rest);
                self.rewrite_sentinel(name);
            }
            ["CONFIG", "SET", key, value] => {
                let engine = self.node_mut(name).engine.as_mut().expect("an engine");
                assert_eq!(engine.port, port);
                engine.set(key, value);
                self.settle();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What sed makes of a text, with the two scripts that are used.
fn edit_with_sed(text: &str, script: &str) -> String {
    if let Some(line) = script.strip_prefix("$a\\") {
        return format!("{text}{line}\n");
    }
    let key = script
        .strip_prefix("/^[[:space:]]*")
        .and_then(|rest| rest.strip_suffix("[[:space:]]/Id"))
        .expect("a script that deletes");
    let kept = text.lines().filter(|line| !line.starts_with(&format!("{key} ")));
    kept.collect::<Vec<_>>().join("\n") + "\n"
}

impl StepPlan {
    /// Whether nothing is to be done, refused or left open.
    pub(super) fn is_settled(&self) -> bool {
        self.tasks.is_empty() && self.refusals.is_empty() && self.unplanned.is_empty()
    }
}
