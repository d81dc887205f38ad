//! Stages of the site: what a rollout waits for, and what blocks it, of the rollouts in earlier stages.

use std::collections::{BTreeMap, BTreeSet};

use kit::{Service, Task};
use plan::{Facts, Gate};
use types::{HostName, NodeId, ServiceName};

use crate::bind::Bound;
use crate::checks;

/// What a rollout comes after.
#[derive(Clone, Default)]
pub(crate) struct Predecessors {
    /// The latest node of each host.
    pub(crate) last: BTreeMap<HostName, NodeId>,
    /// The nodes that must have succeeded on whatever host.
    pub(crate) everywhere: BTreeSet<NodeId>,
    /// What must be healthy before a host's first node.
    pub(crate) health_gates: Vec<Gate>,
    /// Why nothing of it may be planned: the problems of the rollouts that it comes after.
    pub(crate) blocked_by: Vec<String>,
    /// The tasks so far.
    pub(crate) earlier: Vec<Task>,
    /// What is not planned any more, and why: a host's later steps, or all of them (`None`).
    pub(crate) stopped: BTreeMap<Option<HostName>, &'static str>,
}

/// Whether rollouts of later stages may rely on a rollout.
pub(crate) enum Readiness {
    /// They may.
    Ready,
    /// Its service is not healthy and may be by then: they wait for it.
    Awaited(Gate),
    /// They may not, and why.
    Blocked(String),
}

/// A rollout that was planned.
pub(crate) struct Rollout {
    /// Its service's name, or its playbook's.
    pub(crate) name: String,
    pub(crate) service: Option<ServiceName>,
    pub(crate) stage: usize,
    /// What it comes after, with its own nodes, tasks, and what it stopped.
    pub(crate) latest: Predecessors,
    /// The first thing that it refused.
    pub(crate) refused: Option<String>,
    /// Why it is not done everywhere, though nothing of it was refused: it is paused, or a host of it is out of reach.
    pub(crate) incomplete: Option<String>,
    pub(crate) readiness: Readiness,
}

/// The rollouts so far.
#[derive(Default)]
pub(crate) struct Stages {
    /// Of the stages that a host leaves by itself.
    per_host: Predecessors,
    /// Of the others.
    rollouts: Vec<Rollout>,
}

impl Predecessors {
    /// Waits for a rollout, or is blocked by it.
    fn rely_on(&mut self, rollout: &Rollout) {
        match &rollout.readiness {
            Readiness::Ready => {}
            Readiness::Awaited(gate) => self.health_gates.push(gate.clone()),
            Readiness::Blocked(why) => self.blocked_by.push(rollout.problem(why)),
        }
    }
}

impl Rollout {
    /// The rollout of a service that is paused: no node, and its users may rely on it while it is healthy.
    pub(crate) fn paused(bound: &Bound, service: &dyn Service, facts: &Facts) -> Self {
        let why = "it is paused";
        let problem = checks::problem(service, facts);
        Self {
            name: bound.rollout.clone(),
            service: Some(service.name().clone()),
            stage: bound.stage,
            latest: Predecessors::default(),
            refused: None,
            incomplete: Some(why.to_owned()),
            readiness: problem.map_or(Readiness::Ready, |problem| {
                Readiness::Blocked(format!("{why}, and {problem}"))
            }),
        }
    }

    fn problem(&self, why: &str) -> String {
        format!("{}: {why}", self.name)
    }
}

impl Stages {
    /// What a rollout comes after: its hosts' nodes of earlier stages that are left host by host, and all nodes of those
    /// rollouts of other earlier stages that it uses. A rollout that names none uses all.
    pub(crate) fn predecessors(&self, bound: &Bound, services: &[Box<dyn Service>]) -> Predecessors {
        if bound.is_late {
            return self.predecessors_of_late(bound, services);
        }
        let uses = bound.service.map(|at| services[at].uses()).unwrap_or_default();
        let is_used = |rollout: &&Rollout| {
            rollout.stage < bound.stage
                && (uses.is_empty() || rollout.service.as_ref().is_none_or(|name| uses.contains(name)))
        };
        let mut predecessors = self.per_host.clone();
        for rollout in self.rollouts.iter().filter(is_used) {
            predecessors
                .everywhere
                .extend(rollout.latest.last.values().cloned());
            predecessors.rely_on(rollout);
        }
        predecessors
    }

    /// What the late part of a service's rollout comes after: the rest of it, and the services that use it. This part may
    /// mend what is wrong with the service itself, so only a refusal of the service blocks it, and any problem of its users.
    fn predecessors_of_late(&self, bound: &Bound, services: &[Box<dyn Service>]) -> Predecessors {
        let own = bound.service.map(|at| services[at].name());
        let uses_it = |name: &ServiceName| {
            let user = services.iter().find(|service| service.name() == name);
            user.is_some_and(|user| own.is_some_and(|own| user.uses().contains(own)))
        };
        let mut predecessors = self.per_host.clone();
        for rollout in self.rollouts.iter().filter(|rollout| rollout.stage < bound.stage) {
            if rollout.name == bound.rollout {
                predecessors.earlier.clone_from(&rollout.latest.earlier);
                let refused = rollout.refused.iter().map(|why| rollout.problem(why));
                predecessors.blocked_by.extend(refused);
            } else if rollout.service.as_ref().is_some_and(uses_it) {
                predecessors.rely_on(rollout);
                let incomplete = rollout.incomplete.iter().map(|why| rollout.problem(why));
                predecessors.blocked_by.extend(incomplete);
            } else {
                continue;
            }
            predecessors
                .everywhere
                .extend(rollout.latest.last.values().cloned());
        }
        predecessors
    }

    /// Adds a rollout; one that each host leaves by itself (`per_host`) is what all later ones begin with.
    pub(crate) fn add(&mut self, rollout: Rollout, per_host: bool) {
        if per_host {
            let Predecessors {
                last,
                earlier,
                stopped,
                ..
            } = rollout.latest;
            self.per_host = Predecessors {
                last,
                earlier,
                stopped,
                ..Predecessors::default()
            };
        } else {
            self.rollouts.push(rollout);
        }
    }
}
