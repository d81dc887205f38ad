//! What case tests do with the cluster: look at hosts by name, change them by hand, carry tasks out.

use plan::{Facts, Gate, HostFacts, Verdict};
use protocol::facts::{MongoCommand, ResolveFact};
use protocol::{ActionError, Fact, FactError, FactQuery};
use types::HostName;

use fakes::mongodb::{CONF, Node, Set, UNIT};
use fakes::{FakeCluster as _, Pace};
use kit::Service;
use kit::Task;

pub(super) const KEY: &str = "/etc/mongod.keyfile";
/// Our key as facts show it.
pub(super) const OUR_KEY: &str = "⟪secret:file:key⟫";

/// What tests do with one beside what the fake itself offers.
pub(super) trait Rig: Sized {
    fn node(&self, name: &str) -> &Node;

    fn node_mut(&mut self, name: &str) -> &mut Node;

    fn at_name(&self, name: &str) -> usize;

    /// The primary's name.
    fn primary(&self) -> Option<&str>;

    /// Writes a file.
    fn write_file(&mut self, name: &str, path: &str, text: &str, mode: u32, owner: &str);

    /// Changes mongod.conf as an operator would.
    fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String);

    /// Restarts the server with what its files say.
    fn restart(&mut self, name: &str);

    fn stop(&mut self, name: &str);

    /// A host without MongoDB.
    fn uninstall(&mut self, name: &str);

    /// Lets another member become the primary.
    fn step_down(&mut self);

    /// Sends a command as an operator would.
    fn command(&mut self, name: &str, command: &MongoCommand);

    /// Answers every query of a service.
    fn facts(&self, service: &dyn Service) -> Facts;

    fn observe(&self, host: &HostName, queries: &[FactQuery]) -> HostFacts;

    /// Does what a task says, as the agent would: its preconditions first, then the change, then the gates.
    fn perform(&mut self, service: &dyn Service, task: &Task);

    /// The same, unless something changed since the plan.
    fn try_perform(&mut self, service: &dyn Service, task: &Task) -> Result<(), ActionError>;

    /// Waits at gates, as the executor does.
    fn pass(&mut self, service: &dyn Service, gates: &[Gate]);

    /// What a gate says now.
    fn judge(&self, service: &dyn Service, gate: &Gate) -> Verdict;
}

/// As the inventories here have it: db1 is 10.0.0.1, and `fd00::1`.
fn resolved(query: &FactQuery) -> Option<Result<Fact, FactError>> {
    let FactQuery::Resolve(query) = query else {
        return None;
    };
    let number = query.name.strip_prefix("db").expect("one of our hosts");
    let addresses = vec![format!("10.0.0.{number}"), format!("fd00::{number}")];
    Some(Ok(Fact::Resolve(ResolveFact { addresses })))
}

impl Rig for Set {
    fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("a node")
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        let mut nodes = self.nodes.iter_mut();
        nodes.find(|node| node.name == name).expect("a node")
    }

    fn at_name(&self, name: &str) -> usize {
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.name == name).expect("a node")
    }

    fn primary(&self) -> Option<&str> {
        self.leader().map(|at| self.nodes[at].name.as_str())
    }

    fn write_file(&mut self, name: &str, path: &str, text: &str, mode: u32, owner: &str) {
        self.now_us += 20_000;
        let now_us = self.now_us;
        self.node_mut(name).machine.write(path, text, mode, owner, now_us);
    }

    fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String) {
        let text = edit(self.node(name).machine.text(CONF));
        self.write_file(name, CONF, &text, 0o644, "root");
    }

    fn restart(&mut self, name: &str) {
        self.stop(name);
        self.start(self.at_name(name));
        assert!(
            self.node(name).process.is_some(),
            "mongod does not start with its files"
        );
    }

    fn stop(&mut self, name: &str) {
        self.now_us += 20_000;
        self.node_mut(name).stop();
        self.settle();
    }

    fn uninstall(&mut self, name: &str) {
        self.stop(name);
        let machine = &mut self.node_mut(name).machine;
        machine.files.clear();
        machine.units.remove(UNIT);
    }

    fn step_down(&mut self) {
        let old = self.primary().expect("a primary").to_owned();
        self.command(&old, &MongoCommand::new("replSetStepDown", 3600));
    }

    fn command(&mut self, name: &str, command: &MongoCommand) {
        let at = self.at_name(name);
        assert_eq!(self.change(at, command), Ok(()), "{command}");
        self.settle();
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for host in service.hosts().iter().chain(&service.others()) {
            let observed = if self.node(host.as_str()).is_reachable {
                self.observe(host, &service.queries(host))
            } else {
                HostFacts::Unreachable("connection timed out".to_owned())
            };
            facts.add(host.clone(), observed);
        }
        facts
    }

    fn observe(&self, host: &HostName, queries: &[FactQuery]) -> HostFacts {
        let answers = queries.iter().map(|query| {
            let fact = self.answer(host, query).or_else(|| resolved(query));
            (
                query.clone(),
                fact.unwrap_or_else(|| panic!("no fake answers {query:?}")),
            )
        });
        HostFacts::Observed(answers.collect())
    }

    fn perform(&mut self, service: &dyn Service, task: &Task) {
        assert_eq!(self.try_perform(service, task), Ok(()), "{}", task.title);
    }

    fn try_perform(&mut self, service: &dyn Service, task: &Task) -> Result<(), ActionError> {
        self.pass(service, &task.before);
        if let Some(action) = &task.action {
            for precondition in &action.only_if {
                let found = self.answer(&task.host, &precondition.query).expect("an answer");
                if found != Ok(precondition.fact.clone()) {
                    let what = format!("{}: {found:?}", precondition.what);
                    return Err(ActionError::Changed { what });
                }
            }
            let operation = &action.operation;
            let done = self.operate(&task.host, operation);
            done.unwrap_or_else(|| panic!("no fake does {operation:?}"))?;
        }
        self.pass(service, &task.gates);
        assert_eq!(self.violations, [""; 0], "{}", task.title);
        Ok(())
    }

    fn pass(&mut self, service: &dyn Service, gates: &[Gate]) {
        for gate in gates {
            let until_us = self.now_us + i64::try_from(gate.limit_ms).expect("a limit").min(300_000) * 1000;
            loop {
                match self.judge(service, gate) {
                    Verdict::Pass => break,
                    // With time nothing comes true where nothing takes time.
                    Verdict::Wait(_) if self.pace != Pace::default() && self.now_us < until_us => {
                        self.advance(self.now_us + 1_000_000);
                    }
                    verdict => panic!("{}: {verdict:?}", gate.title),
                }
            }
        }
    }

    fn judge(&self, service: &dyn Service, gate: &Gate) -> Verdict {
        let mut facts = Facts::default();
        for (host, queries) in &gate.watch {
            facts.add(host.clone(), self.observe(host, queries));
        }
        service.judge(&gate.check, gate.host.as_ref(), &facts)
    }
}
