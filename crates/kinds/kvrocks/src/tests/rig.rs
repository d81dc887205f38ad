//! What tests do with a fake cluster.

use plan::{Facts, HostFacts, Verdict};

use fakes::kvrocks::{Cluster, Node, Server};
use kit::Service;
use kit::Task;

/// What tests do with one beside what the fake itself offers.
pub(super) trait Rig: Sized {
    fn node(&self, name: &str) -> &Node;

    fn node_mut(&mut self, name: &str) -> &mut Node;

    fn place(&self, name: &str) -> usize;

    /// The engine of a host.
    fn server_mut(&mut self, name: &str) -> &mut Server;

    /// What installing the packages on a host comes to; files are those of the packages again.
    fn install(&mut self, name: &str);

    /// Writes a file as its owner would.
    fn write(&mut self, name: &str, path: &str, text: &str);

    /// Changes the engine's file.
    fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String);

    /// Restarts the engine with what its file says.
    fn restart(&mut self, name: &str);

    /// Restarts the sentinel.
    fn restart_sentinel(&mut self, name: &str);

    /// The engine of a host is off.
    fn stop(&mut self, name: &str);

    /// The sentinel of a host is off.
    fn sentinel_off(&mut self, name: &str);

    /// The engine of a host comes to hold so many keys.
    fn fill(&mut self, name: &str, keys: u64);

    /// Sentinel fails over.
    fn fail_over(&mut self);

    /// Answers every query of a service.
    fn facts(&self, service: &dyn Service) -> Facts;

    /// Does what a task says, once what it waits for is so, after its preconditions and before its gates were checked.
    fn perform(&mut self, service: &dyn Service, task: &Task);

    fn judge(&self, service: &dyn Service, gate: &plan::Gate) -> Verdict;
}

impl Rig for Cluster {
    fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).expect("a node")
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        let node = self.nodes.iter_mut().find(|node| node.name == name);
        node.expect("a node")
    }

    fn place(&self, name: &str) -> usize {
        self.named(name).expect("a node")
    }

    fn server_mut(&mut self, name: &str) -> &mut Server {
        self.node_mut(name).engine.as_mut().expect("an engine")
    }

    fn install(&mut self, name: &str) {
        self.node_mut(name).machine.files.clear();
        self.install_engine(name, true);
        self.install_sentinel(name);
        self.node_mut(name).has_data_files = true;
    }

    fn write(&mut self, name: &str, path: &str, text: &str) {
        let at = self.place(name);
        self.write_file(at, path, text);
    }

    fn edit(&mut self, name: &str, edit: impl Fn(&str) -> String) {
        let path = self.config();
        let text = edit(self.node(name).machine.text(path));
        self.write(name, path, &text);
    }

    fn restart(&mut self, name: &str) {
        let at = self.place(name);
        self.start_engine(at).expect("it starts");
    }

    fn restart_sentinel(&mut self, name: &str) {
        let at = self.place(name);
        self.start_sentinel(at).expect("it starts");
    }

    fn stop(&mut self, name: &str) {
        let at = self.place(name);
        self.stop_engine(at);
    }

    fn sentinel_off(&mut self, name: &str) {
        let at = self.place(name);
        self.stop_sentinel(at);
    }

    fn fill(&mut self, name: &str, keys: u64) {
        let node = self.node_mut(name);
        node.data = (0..keys).collect();
        node.offset += 1;
        self.settle();
    }

    fn fail_over(&mut self) {
        self.hand_over();
        self.settle();
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for at in service.hosts().iter().chain(&service.others()) {
            if self.node(at.as_str()).is_down {
                let why = "connection timed out".to_owned();
                facts.add(at.clone(), HostFacts::Unreachable(why));
                continue;
            }
            let answers = service.queries(at).into_iter().map(|query| {
                let fact = self.tell_fact(at, &query);
                let fact = fact.unwrap_or_else(|| panic!("no fake answers {query:?}"));
                (query, fact)
            });
            facts.add(at.clone(), HostFacts::Observed(answers.collect()));
        }
        facts
    }

    fn perform(&mut self, service: &dyn Service, task: &Task) {
        for gate in &task.before {
            let mut verdict = self.judge(service, gate);
            if verdict != Verdict::Pass {
                self.pass_until(self.now + 31_000_000);
                verdict = self.judge(service, gate);
            }
            assert_eq!(verdict, Verdict::Pass, "{}: {}", task.title, gate.title);
        }
        if let Some(action) = &task.action {
            for condition in &action.only_if {
                let found = self.tell_fact(&task.host, &condition.query);
                let found = found.expect("an answer").expect("a fact");
                assert_eq!(found, condition.fact, "{}: {}", task.title, condition.what);
            }
            let done = self.obey(&task.host, &action.operation);
            assert_eq!(done, Some(Ok(())), "{}", task.title);
        }
        for gate in &task.gates {
            // Sentinels that start side by side are started one after another here.
            let is_last = gate.check != "sentinel-agrees" || task.action.is_none();
            let mut verdict = self.judge(service, gate);
            if verdict != Verdict::Pass && is_last {
                self.pass_until(self.now + 31_000_000);
                verdict = self.judge(service, gate);
            }
            assert!(
                verdict == Verdict::Pass || !is_last,
                "{}: {verdict:?}",
                gate.title
            );
        }
    }

    fn judge(&self, service: &dyn Service, gate: &plan::Gate) -> Verdict {
        let mut facts = Facts::default();
        for (at, queries) in &gate.watch {
            if self.node(at.as_str()).is_down {
                facts.add(
                    at.clone(),
                    HostFacts::Unreachable("connection timed out".to_owned()),
                );
                continue;
            }
            let answers = queries
                .iter()
                .map(|query| (query.clone(), self.tell_fact(at, query).expect("an answer")));
            facts.add(at.clone(), HostFacts::Observed(answers.collect()));
        }
        service.judge(&gate.check, gate.host.as_ref(), &facts)
    }
}
