//! A service and its hosts in memory: plans are made and carried out, or cut off anywhere.

use plan::{Facts, Gate, HostFacts, RunningUnits, Verdict};
use protocol::{Action, ActionError, FactError, Operation};
use types::HostName;

use crate::KIND;
use crate::tests::service;
use cases::{Asked, host, plan_steps_asked, render};
use fakes::rabbitmq::Hosts;
use fakes::{FakeCluster, Fault, Pace};
use kit::{StepPlan, Task};

/// A moment, in microseconds.
const STEP: i64 = 1_000_000;

#[derive(Clone)]
pub(super) struct Bed {
    pub(super) inventory: String,
    pub(super) cluster: Hosts,
    pub(super) unreachable: Vec<HostName>,
    pub(super) allow: Vec<&'static str>,
    now_us: i64,
}

/// The inventory's settings for members on these of five hosts.
pub(super) fn inventory(hosts: &[&str], more: &str) -> String {
    let all: Vec<String> = (1..=5)
        .chain([10])
        .map(|at| format!("db{at} = \"10.0.0.{at}\"\n"))
        .collect();
    format!(
        "[hosts]\n{}\n[services.rabbitmq]\nhosts = {hosts:?}\ncookie = {{ file = \"secrets/cookie\" }}\n{more}",
        all.concat()
    )
}

impl Bed {
    pub(super) fn new(hosts: &[&str], more: &str) -> Self {
        Self {
            inventory: inventory(hosts, more),
            cluster: Hosts::new(&["db1", "db2", "db3", "db4", "db5", "db10"], Pace::default()),
            unreachable: Vec::new(),
            allow: Vec::new(),
            now_us: 10 * STEP,
        }
    }

    /// A cluster that our own plan built.
    pub(super) fn built(hosts: &[&str], more: &str) -> Self {
        let mut bed = Self::new(hosts, more);
        bed.converge();
        bed
    }

    /// The same service with another inventory.
    pub(super) fn say(&mut self, hosts: &[&str], more: &str) {
        self.inventory = inventory(hosts, more);
    }

    pub(super) fn facts(&self) -> Facts {
        let service = service(&self.inventory);
        let mut facts = Facts::default();
        for host in service.hosts().iter().chain(&service.others()) {
            if self.unreachable.contains(host) {
                facts.add(host.clone(), HostFacts::Unreachable("no route".to_owned()));
                continue;
            }
            let answers = service.queries(host).into_iter().map(|query| {
                let none = || {
                    Err(FactError {
                        message: format!("nobody answers {query:?}"),
                    })
                };
                let fact = self.cluster.answer(host, &query).unwrap_or_else(none);
                (query, fact)
            });
            facts.add(host.clone(), HostFacts::Observed(answers.collect()));
        }
        facts
    }

    /// The tasks of the generic step before ours.
    fn packages(&self) -> Vec<Task> {
        let service = service(&self.inventory);
        let package = protocol::facts::PackageQuery {
            name: "rabbitmq-server".to_owned(),
        };
        let facts = self.facts();
        let lacks = |host: &&HostName| {
            let fact: Option<&protocol::facts::PackageFact> = facts.get(host, &package).ok();
            fact.is_some_and(|fact| fact.version.is_none())
        };
        let install = |host: &HostName| {
            let operation = Operation::InstallPackages {
                names: vec!["rabbitmq-server".to_owned()],
            };
            Task::new(
                host,
                "install rabbitmq-server",
                "it is missing",
                kit::action(operation, 1),
            )
        };
        service.hosts().iter().filter(lacks).map(install).collect()
    }

    pub(super) fn plan(&self) -> StepPlan {
        self.plan_asked(None)
    }

    pub(super) fn plan_asked(&self, restart: Option<RunningUnits>) -> StepPlan {
        let asked = Asked {
            earlier: self.packages(),
            allow: &self.allow,
            restart,
        };
        plan_steps_asked(&*service(&self.inventory), &KIND.steps(), &self.facts(), asked)
    }

    pub(super) fn shown(&self) -> String {
        render(&self.plan())
    }

    pub(super) fn tick(&mut self) {
        self.now_us += STEP;
        self.cluster.advance(self.now_us);
    }

    pub(super) fn inject(&mut self, trouble: &Fault) {
        self.cluster.inject(trouble);
        self.tick();
    }

    /// Makes a task's change, without what comes after it.
    pub(super) fn act(&mut self, task: &Task) -> Result<(), ActionError> {
        for gate in &task.before {
            self.wait(gate)
                .unwrap_or_else(|why| panic!("{} before {}: {why}", gate.title, task.title));
        }
        let Some(Action {
            only_if, operation, ..
        }) = &task.action
        else {
            return Ok(());
        };
        for condition in only_if {
            let found = self.cluster.answer(&task.host, &condition.query);
            if found != Some(Ok(condition.fact.clone())) {
                let what = format!("{}; {found:?}", condition.what);
                return Err(ActionError::Changed { what });
            }
        }
        let done = self.cluster.operate(&task.host, operation);
        self.tick();
        done.unwrap_or_else(|| panic!("nobody knows {operation:?}"))
    }

    /// What a gate watches, as it is now.
    pub(super) fn asked(&self, gate: &Gate) -> Facts {
        let mut facts = Facts::default();
        for (host, queries) in &gate.watch {
            let answers = queries.iter().map(|query| {
                let none = || {
                    Err(FactError {
                        message: "nobody answers".to_owned(),
                    })
                };
                (
                    query.clone(),
                    self.cluster.answer(host, query).unwrap_or_else(none),
                )
            });
            facts.add(host.clone(), HostFacts::Observed(answers.collect()));
        }
        facts
    }

    /// Waits for a gate; what was seen last where it does not pass.
    pub(super) fn wait(&mut self, gate: &Gate) -> Result<(), String> {
        let service = service(&self.inventory);
        let mut last = String::new();
        for _ in 0..100 {
            let facts = self.asked(gate);
            match service.judge(&gate.check, gate.host.as_ref(), &facts) {
                Verdict::Pass => return Ok(()),
                Verdict::Fail(why) => return Err(why),
                Verdict::Wait(seen) => last = seen,
            }
            self.tick();
        }
        Err(last)
    }

    pub(super) fn perform(&mut self, task: &Task) {
        let done = self.act(task);
        done.unwrap_or_else(|error| panic!("{} on {}: {error}", task.title, task.host));
        for gate in &task.gates {
            self.wait(gate)
                .unwrap_or_else(|why| panic!("{} after {}: {why}", gate.title, task.title));
        }
    }

    /// Plans, carries the plan out, and expects that nothing is left to do.
    pub(super) fn converge(&mut self) {
        for task in self.plan().tasks {
            self.perform(&task);
        }
        self.assert_settled();
    }

    /// The same, where the run is killed right after each of its changes in turn.
    pub(super) fn converge_from_everywhere(&self) {
        let tasks = self.plan().tasks;
        for survived in 0..tasks.len() {
            let mut bed = self.clone();
            for task in &tasks[..survived] {
                bed.perform(task);
            }
            bed.act(&tasks[survived]).unwrap();
            let settled = bed.plan();
            bed.converge();
            assert_eq!(
                bed.cluster.violations(),
                [] as [String; 0],
                "{}",
                render(&settled)
            );
        }
    }

    pub(super) fn assert_settled(&self) {
        let left = self.plan();
        let is_settled = cases::is_settled(&left);
        assert!(is_settled, "{}", render(&left));
    }

    pub(super) fn order(&self) -> Vec<String> {
        let tasks = self.plan().tasks.into_iter();
        tasks
            .map(|task| format!("{} {}", task.host, task.title))
            .collect()
    }
}

pub(super) fn crash(name: &str) -> Fault {
    Fault::Crash(host(name))
}
