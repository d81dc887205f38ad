//! What case tests do with the cluster: facts of all hosts at once, tasks carried out with their gates, and hands on the
//! hosts' files and servers.

use plan::{Facts, Gate, HostFacts, Verdict};
use protocol::{FactError, FactQuery};
use types::HostName;

use fakes::ssdb::{CONFIG, Cluster, DIR, Node, UNIT};
use fakes::{FakeCluster as _, File, Pace};
use kit::Service;
use kit::Task;

/// What tests do with one beside what the fake itself offers.
pub(super) trait Rig: Sized {
    fn bare(members: usize) -> Self;

    fn at(&self, name: &str) -> usize;

    fn node(&mut self, name: &str) -> &mut Node;

    /// Hosts with nothing on them come to those that are there.
    fn grow(&mut self, members: usize);

    fn put_file(&mut self, name: &str, text: &str);

    fn text(&mut self, name: &str) -> String;

    fn make_dir(&mut self, name: &str);

    fn leave_pid_file(&mut self, name: &str);

    fn start(&mut self, name: &str);

    fn stop(&mut self, name: &str);

    /// Nothing comes over a link any more, whatever it says.
    fn stall(&mut self, mirror: &str, master: &str);

    /// A client's write.
    fn set(&mut self, name: &str, key: &str, value: Option<&str>);

    /// Many writes, of these keys in turn.
    fn set_often(&mut self, name: &str, keys: &[&str], times: usize);

    /// A client's item for a queue.
    fn push(&mut self, name: &str, queue: &str, item: &str);

    /// The items of a queue.
    fn queue(&mut self, name: &str, queue: &str) -> Vec<String>;

    fn get(&mut self, name: &str, key: &str) -> Option<String>;

    /// What the agents answer.
    fn facts(&self, service: &dyn Service) -> Facts;

    fn gather(&self, facts: &mut Facts, name: &HostName, queries: Vec<FactQuery>);

    /// Whether a host is reached from where we are.
    fn is_reached(&self, name: &HostName) -> bool;

    /// Carries a task out with its preconditions, and waits for its gates: the first verdict that is not a pass.
    fn perform(&mut self, service: &dyn Service, task: &Task) -> Result<(), String>;

    fn pass(&self, service: &dyn Service, gates: &[Gate]) -> Result<(), String>;
}

impl Rig for Cluster {
    fn bare(members: usize) -> Self {
        Self::new(&["db1", "db2", "db3", "db4"][..members], Pace::default())
    }

    fn at(&self, name: &str) -> usize {
        self.find(name).expect("a host")
    }

    fn node(&mut self, name: &str) -> &mut Node {
        let at = self.at(name);
        &mut self.nodes[at]
    }

    fn grow(&mut self, members: usize) {
        let more = Cluster::bare(members).nodes.into_iter().skip(self.nodes.len());
        self.nodes.extend(more);
    }

    fn put_file(&mut self, name: &str, text: &str) {
        let now = self.tick();
        self.node(name).machine.write(CONFIG, text, 0o640, "ssdb", now);
    }

    fn text(&mut self, name: &str) -> String {
        self.node(name).machine.text(CONFIG).to_owned()
    }

    fn make_dir(&mut self, name: &str) {
        self.node(name).make_dir(1);
    }

    fn leave_pid_file(&mut self, name: &str) {
        let path = format!("{DIR}/ssdb.pid");
        self.node(name).machine.write(&path, "1", 0o644, "ssdb", 1);
    }

    fn start(&mut self, name: &str) {
        let at = self.at(name);
        self.launch(at);
    }

    fn stop(&mut self, name: &str) {
        let at = self.at(name);
        self.halt(at);
    }

    fn stall(&mut self, mirror: &str, master: &str) {
        let process = self.node(mirror).process.as_mut().expect("it runs");
        let mut links = process.links.iter_mut();
        links.find(|link| link.id == master).expect("a link").is_stalled = true;
    }

    fn set(&mut self, name: &str, key: &str, value: Option<&str>) {
        let at = self.at(name);
        self.client_sets(at, key, value);
        self.settle();
    }

    fn set_often(&mut self, name: &str, keys: &[&str], times: usize) {
        let at = self.at(name);
        for (number, key) in keys.iter().cycle().take(times).enumerate() {
            self.client_sets(at, key, Some("x"));
            // Those who listen can follow.
            if number % 1000 == 0 {
                self.settle();
            }
        }
        self.settle();
    }

    fn push(&mut self, name: &str, queue: &str, item: &str) {
        let at = self.at(name);
        self.client_pushes(at, queue, item);
        self.settle();
    }

    fn queue(&mut self, name: &str, queue: &str) -> Vec<String> {
        let disk = self.node(name).disk.as_ref();
        disk.and_then(|disk| disk.queues.get(queue).cloned())
            .unwrap_or_default()
    }

    fn get(&mut self, name: &str, key: &str) -> Option<String> {
        self.node(name).disk.as_ref()?.data.get(key).cloned()
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        let mut facts = Facts::default();
        for name in service.hosts().iter().chain(&service.others()) {
            self.gather(&mut facts, name, service.queries(name));
        }
        facts
    }

    fn gather(&self, facts: &mut Facts, name: &HostName, queries: Vec<FactQuery>) {
        if !self.is_reached(name) {
            let lost = HostFacts::Unreachable("no route to host".to_owned());
            facts.add(name.clone(), lost);
            return;
        }
        let unknown = |query: &FactQuery| FactError {
            message: format!("{query:?}"),
        };
        let answers = queries.into_iter().map(|query| {
            let fact = self.answer(name, &query).unwrap_or_else(|| Err(unknown(&query)));
            (query, fact)
        });
        facts.add(name.clone(), HostFacts::Observed(answers.collect()));
    }

    fn is_reached(&self, name: &HostName) -> bool {
        let at = self.find(name.as_str());
        at.is_some_and(|at| self.nodes[at].is_up && !self.nodes[at].is_cut)
    }

    fn perform(&mut self, service: &dyn Service, task: &Task) -> Result<(), String> {
        self.pass(service, &task.before)?;
        for condition in task.action.iter().flat_map(|action| &action.only_if) {
            let seen = self.answer(&task.host, &condition.query);
            if seen != Some(Ok(condition.fact.clone())) {
                return Err(format!("changed since the plan: {}", condition.what));
            }
        }
        if let Some(action) = &task.action {
            let done = self.operate(&task.host, &action.operation);
            done.unwrap_or_else(|| panic!("{:?}", action.operation))
                .map_err(|error| error.to_string())?;
        }
        self.pass(service, &task.gates)
    }

    fn pass(&self, service: &dyn Service, gates: &[Gate]) -> Result<(), String> {
        for gate in gates {
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
}

/// What tests do with one beside what the fake itself offers.
pub(super) trait Files: Sized {
    /// The configuration.
    fn file(&mut self) -> &mut File;

    /// systemd's unit.
    fn unit(&mut self) -> &mut fakes::Unit;
}

impl Files for Node {
    fn file(&mut self) -> &mut File {
        self.machine.files.get_mut(CONFIG).expect("a file")
    }

    fn unit(&mut self) -> &mut fakes::Unit {
        self.machine.unit(UNIT)
    }
}
