//! What tests do with a world beside carrying out plans.

use plan::{Facts, HostFacts};
use protocol::{Operation, UnitVerb};

use crate::clickhouse::world::{Node, World};
use crate::kind::Service;
use crate::step::Task;
use crate::testing::host;
use crate::world::World as _;

impl World {
    pub(super) fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.name() == name)
            .expect("a node")
    }

    pub(super) fn node_mut(&mut self, name: &str) -> &mut Node {
        let mut nodes = self.nodes.iter_mut();
        nodes.find(|node| node.name() == name).expect("a node")
    }

    /// A server that never read a file.
    pub(super) fn unread(&mut self, name: &str, path: &str) {
        let now = self.now;
        let server = self.node_mut(name).server.as_mut().expect("a server");
        let mut texts = server.loaded.clone();
        texts.remove(path);
        server.read(texts, now);
    }

    /// Time goes on by three seconds with each change: servers have read their files again by then.
    pub(super) fn tick(&mut self) {
        self.advance(self.now + 3_000_000);
    }

    /// Writes a file as root would by hand.
    pub(super) fn write_file(&mut self, name: &str, path: &str, text: &str) {
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
        let failed = |unit: &crate::world::Unit| unit.has_failed;
        let node = self.node(name);
        assert!(
            !node.machine.units.values().any(failed),
            "a process on {name} died after {operation:?}"
        );
    }

    /// What installing the packages comes to.
    pub(super) fn install_both(&mut self, name: &str) {
        let names = vec!["clickhouse-server".to_owned(), "zookeeperd".to_owned()];
        self.does(name, &Operation::InstallPackages { names });
    }

    fn tell_unit(&mut self, name: &str, unit: &str, verb: UnitVerb) {
        let operation = Operation::Unit {
            name: unit.to_owned(),
            verbs: vec![verb],
        };
        self.does(name, &operation);
    }

    pub(super) fn restart(&mut self, name: &str, unit: &str) {
        self.tell_unit(name, unit, UnitVerb::Restart);
    }

    pub(super) fn stop(&mut self, name: &str, unit: &str) {
        self.tell_unit(name, unit, UnitVerb::Stop);
    }

    /// A replica that the quorum has on its books.
    pub(super) fn register(&mut self, replica: &str) {
        for node in &mut self.nodes {
            node.tree.registered.insert(replica.to_owned());
        }
    }

    pub(super) fn forget(&mut self, replica: &str) {
        for node in &mut self.nodes {
            node.tree.registered.remove(replica);
        }
    }

    pub(super) fn has_tables(&self) -> bool {
        self.nodes.iter().any(|node| node.table.is_some())
    }

    pub(super) fn has_quorum(&self) -> bool {
        self.nodes.iter().any(|node| node.place.serves())
    }

    /// Does what an action does, after checking what it relies on, as the agent does.
    pub(super) fn perform(&mut self, task: &Task) {
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

    pub(super) fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for host in service.hosts().iter().chain(&service.others()) {
            let is_up = self.nodes.iter().any(|node| node.host == *host && node.is_up);
            let observed = if is_up {
                let answers = service.queries(host).into_iter().map(|query| {
                    let fact = self.answer(host, &query).expect("a question for this world");
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
