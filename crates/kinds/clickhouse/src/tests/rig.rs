//! Operations of tests on a cluster, beside performing plans.

use plan::{Facts, HostFacts};
use protocol::{Operation, UnitVerb};

use cases::host;
use fakes::FakeCluster as _;
use fakes::clickhouse::{Cluster, Node};
use kit::Service;
use kit::Task;

/// Operations of tests, beside those of the fake itself.
pub(super) trait Rig: Sized {
    fn node(&self, name: &str) -> &Node;

    fn node_mut(&mut self, name: &str) -> &mut Node;

    /// A server that never read a file.
    fn unread(&mut self, name: &str, path: &str);

    /// Time goes on by three seconds with each change: servers have read their files again by then.
    fn tick(&mut self);

    /// Writes a file as root would by hand.
    fn write_file(&mut self, name: &str, path: &str, text: &str);

    fn does(&mut self, name: &str, operation: &Operation);

    /// Installs the packages of both services.
    fn install_both(&mut self, name: &str);

    fn tell_unit(&mut self, name: &str, unit: &str, verb: UnitVerb);

    fn restart(&mut self, name: &str, unit: &str);

    fn stop(&mut self, name: &str, unit: &str);

    /// Registers a replica in the quorum.
    fn register(&mut self, replica: &str);

    fn forget(&mut self, replica: &str);

    fn has_tables(&self) -> bool;

    fn has_quorum(&self) -> bool;

    /// Performs an action after its preconditions, as the agent does.
    fn perform(&mut self, task: &Task);

    fn facts(&self, service: &dyn Service) -> Facts;
}

impl Rig for Cluster {
    fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.name() == name)
            .expect("a node")
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        let mut nodes = self.nodes.iter_mut();
        nodes.find(|node| node.name() == name).expect("a node")
    }

    fn unread(&mut self, name: &str, path: &str) {
        let now = self.now;
        let server = self.node_mut(name).server.as_mut().expect("a server");
        let mut texts = server.loaded.clone();
        texts.remove(path);
        server.read(texts, now);
    }

    fn tick(&mut self) {
        self.advance(self.now + 3_000_000);
    }

    fn write_file(&mut self, name: &str, path: &str, text: &str) {
        self.tick();
        let now = self.now;
        self.node_mut(name).machine.write(path, text, 0o644, "root", now);
    }

    fn does(&mut self, name: &str, operation: &Operation) {
        self.tick();
        assert_eq!(
            self.operate(&host(name), operation),
            Some(Ok(())),
            "{operation:?} on {name}"
        );
        let failed = |unit: &fakes::Unit| unit.has_failed;
        let node = self.node(name);
        assert!(
            !node.machine.units.values().any(failed),
            "a process on {name} died after {operation:?}"
        );
    }

    fn install_both(&mut self, name: &str) {
        let names = vec!["clickhouse-server".to_owned(), "zookeeperd".to_owned()];
        self.does(name, &Operation::InstallPackages { names });
    }

    fn tell_unit(&mut self, name: &str, unit: &str, verb: UnitVerb) {
        let operation = Operation::Unit {
            name: unit.to_owned(),
            verbs: vec![verb],
            reads: Vec::new(),
        };
        self.does(name, &operation);
    }

    fn restart(&mut self, name: &str, unit: &str) {
        self.tell_unit(name, unit, UnitVerb::Restart);
    }

    fn stop(&mut self, name: &str, unit: &str) {
        self.tell_unit(name, unit, UnitVerb::Stop);
    }

    fn register(&mut self, replica: &str) {
        for node in &mut self.nodes {
            node.tree.registered.insert(replica.to_owned());
        }
    }

    fn forget(&mut self, replica: &str) {
        for node in &mut self.nodes {
            node.tree.registered.remove(replica);
        }
    }

    fn has_tables(&self) -> bool {
        self.nodes.iter().any(|node| node.table.is_some())
    }

    fn has_quorum(&self) -> bool {
        self.nodes.iter().any(|node| node.role.serves())
    }

    fn perform(&mut self, task: &Task) {
        let name = task.host.as_str().to_owned();
        assert!(self.node(&name).is_up, "{name} is out of reach");
        let Some(action) = &task.action else { return };
        for condition in &action.only_if {
            assert_eq!(
                self.answer(&task.host, &condition.query),
                Some(Ok(condition.fact.clone())),
                "{}",
                condition.what
            );
        }
        let takes = |verb: &UnitVerb| matches!(verb, UnitVerb::Restart | UnitVerb::Stop);
        let takes = matches!(&action.operation, Operation::Unit { verbs, .. } if verbs.iter().any(takes));
        if task.disrupts && takes && self.nodes.len() > 1 {
            for node in &self.nodes {
                let down = node.host != task.host && node.table.is_some() && node.is_up && !node.answers();
                assert!(!down, "{name} is disrupted while {} is down", node.name());
            }
            assert!(self.has_quorum(), "{name} is disrupted without a quorum");
        }
        self.does(&name, &action.operation);
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for host in service.hosts().iter().chain(&service.others()) {
            let is_up = self.nodes.iter().any(|node| node.host == *host && node.is_up);
            let observed = if is_up {
                let answers = service.queries(host).into_iter().map(|query| {
                    let fact = self.answer(host, &query).expect("a question for this fake");
                    (query, fact)
                });
                HostFacts::Observed(answers.collect())
            } else {
                HostFacts::Unreachable("connection timed out".to_owned())
            };
            facts.add(host.clone(), observed);
        }
        facts
    }
}
