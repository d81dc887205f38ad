//! Chaining: tasks become nodes, each tied to what must come before it.
//!
//! Within a rollout a host goes on by itself: a node needs its host's node before it. At a barrier it needs every
//! node of every host so far, and in a serial step also the node before it in that step. Rollouts of one stage of the
//! site know nothing of each other and run side by side; those of later stages come after them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use config::Rollout;
use plan::{
    Consent, Facts, Gate, GraphError, Level, Node, Note, Refusal, Running, SkippedSteps, StepGraph, Unplanned,
};
use serde::{Deserialize, Serialize};
use services::{Cx, Service, StepPlan, Task, generic};
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::bind::{Bound, BoundStep};
use crate::budget::{self, Queue};
use crate::project::Scope;
use crate::well;

/// What the operator adds to the inventory for one plan. A saved plan has it, so that the same plan can be made again:
/// what is added here gets a default by its type, and what is taken away stops old files from being read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Destructive actions that are consented to.
    pub consents: BTreeSet<Consent>,
    /// What ran when the operator asked for a restart of the services in scope.
    pub restart: Option<Running>,
    /// How many members of each service may be unavailable at once, instead of what its kind says.
    pub max_unavailable: Option<NonZeroUsize>,
}

pub(crate) fn plan(
    bound: &[&Bound],
    services: &[Box<dyn Service>],
    facts: &Facts,
    scope: &Scope,
    scoped_hosts: Option<&BTreeSet<HostName>>,
    options: &Options,
) -> Result<StepGraph, GraphError> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut budgets = BTreeMap::new();
    let mut said = StepGraph::default();
    let mut stages = Stages::default();
    for bound in bound {
        let service = bound.service.map(|at| &*services[at]);
        let before = if bound.is_late {
            stages.before_late(bound, services)
        } else {
            stages.before(bound, service)
        };
        let held_by = before.held_by.clone();
        let mut chain = Chain::new(bound, service, facts, scope, scoped_hosts, options, before);
        chain.walk();
        chain.hold(&held_by);
        chain.keep_quorum();
        if let Some(service) = service
            && chain.nodes.iter().any(|node| !node.disrupts.is_empty())
        {
            let group = GroupId::from(service.name());
            budgets.insert(group, budget::of(service, facts, options.max_unavailable));
        }
        if let Some(service) = service.filter(|_| !chain.nodes.is_empty()) {
            said.basis.insert(service.name().clone(), service.basis(facts));
        }
        stages.add(&chain);
        nodes.extend(chain.nodes);
        said.notes.extend(chain.said.notes);
        said.refusals.extend(chain.said.refusals);
        said.unplanned.extend(chain.said.unplanned);
    }
    tell_once(&mut said.unplanned);
    let mut graph = StepGraph::new(nodes, budgets)?;
    graph.notes = said.notes;
    graph.refusals = said.refusals;
    graph.unplanned = said.unplanned;
    graph.basis = said.basis;
    Ok(graph)
}

/// A host that cannot be reached is told by each service that it belongs to, and by a playbook without a service only
/// where there is none.
fn tell_once(unplanned: &mut Vec<Unplanned>) {
    let told: BTreeSet<HostName> = unplanned
        .iter()
        .filter(|left| left.service.is_some())
        .map(|left| left.host.clone())
        .collect();
    unplanned.retain(|left| {
        left.service.is_some() || left.steps != SkippedSteps::All || !told.contains(&left.host)
    });
}

/// Why what comes after a refusal is not planned.
const NOT_AFTER_REFUSAL: &str = "not after what was refused";

/// What the rollouts so far come to, for those of later stages.
#[derive(Default)]
struct Stages {
    /// Of the stages that a host leaves by itself.
    common: Before,
    /// Of the others.
    ended: Vec<Ended>,
}

/// What a rollout of a stage came to.
struct Ended {
    stage: usize,
    rollout: String,
    service: Option<ServiceName>,
    /// The last node of each host.
    nodes: Vec<NodeId>,
    /// Its tasks, and those before.
    earlier: Vec<Task>,
    /// What was refused.
    refused: Option<String>,
    outlook: Outlook,
}

/// Whether those that come later may rely on a rollout.
enum Outlook {
    /// They may, as far as can be seen.
    Sound,
    /// Its service is not well and may be by then: this is waited for.
    Awaited(Gate),
    /// They may not, and why.
    Troubled(String),
}

/// What a rollout finds when it begins.
#[derive(Clone, Default)]
struct Before {
    /// The latest node of each host.
    last: BTreeMap<HostName, NodeId>,
    /// The nodes that must have succeeded on whatever host.
    everywhere: BTreeSet<NodeId>,
    /// Why it may not begin: the trouble of the rollouts that it comes after.
    held_by: Vec<String>,
    /// What must be well by the time that a host has its first node.
    wells: Vec<Gate>,
    earlier: Vec<Task>,
    refused: BTreeSet<Option<HostName>>,
}

impl Ended {
    fn says(&self, why: &str) -> String {
        format!("{}: {why}", self.rollout)
    }
}

impl Before {
    /// Has it wait for a rollout, or be held by it, as that one ends.
    fn rely_on(&mut self, ended: &Ended) {
        match &ended.outlook {
            Outlook::Sound => {}
            Outlook::Awaited(gate) => self.wells.push(gate.clone()),
            Outlook::Troubled(why) => self.held_by.push(ended.says(why)),
        }
    }
}

impl Stages {
    /// What a rollout comes after: its hosts' nodes of earlier stages that are left host by host, and all nodes of those
    /// rollouts of other earlier stages that it uses; a rollout that names none uses all.
    fn before(&self, bound: &Bound, service: Option<&dyn Service>) -> Before {
        let uses = service.map(Service::uses).unwrap_or_default();
        let is_used = |ended: &&Ended| {
            ended.stage < bound.stage
                && (uses.is_empty() || ended.service.as_ref().is_none_or(|name| uses.contains(name)))
        };
        let mut before = self.common.clone();
        for ended in self.ended.iter().filter(is_used) {
            before.everywhere.extend(ended.nodes.iter().cloned());
            before.rely_on(ended);
        }
        before
    }

    /// What the late part of a service's rollout comes after: the rest of it, and the services that use it. What is wrong
    /// with the service itself may be what this part mends; what was refused holds it, and so does any trouble of its
    /// users.
    fn before_late(&self, bound: &Bound, services: &[Box<dyn Service>]) -> Before {
        let own = bound.service.map(|at| services[at].name());
        let uses_it = |name: &ServiceName| {
            let user = services.iter().find(|service| service.name() == name);
            user.is_some_and(|user| own.is_some_and(|own| user.uses().contains(own)))
        };
        let mut before = self.common.clone();
        for ended in self.ended.iter().filter(|ended| ended.stage < bound.stage) {
            if ended.rollout == bound.rollout {
                before.earlier.clone_from(&ended.earlier);
                before
                    .held_by
                    .extend(ended.refused.iter().map(|why| ended.says(why)));
            } else if ended.service.as_ref().is_some_and(uses_it) {
                before.rely_on(ended);
            } else {
                continue;
            }
            before.everywhere.extend(ended.nodes.iter().cloned());
        }
        before
    }

    fn add(&mut self, chain: &Chain<'_>) {
        if chain.bound.per_host {
            self.common = Before {
                last: chain.last.clone(),
                earlier: chain.earlier.clone(),
                refused: chain.refused.clone(),
                ..Before::default()
            };
        } else {
            self.ended.push(Ended {
                stage: chain.bound.stage,
                rollout: chain.bound.rollout.clone(),
                service: chain.name(),
                nodes: chain.last.values().cloned().collect(),
                earlier: chain.earlier.clone(),
                refused: chain.said.refusals.first().map(|refusal| refusal.what.clone()),
                outlook: chain.outlook(),
            });
        }
    }
}

/// One rollout on its way from tasks to nodes.
struct Chain<'a> {
    bound: &'a Bound,
    service: Option<&'a dyn Service>,
    facts: &'a Facts,
    scope: &'a Scope,
    scoped_hosts: Option<&'a BTreeSet<HostName>>,
    options: &'a Options,
    nodes: Vec<Node>,
    /// The latest node of each host.
    last: BTreeMap<HostName, NodeId>,
    /// What the first node of each host waits for beside it.
    everywhere: BTreeSet<NodeId>,
    /// What must be well before it.
    wells: Vec<Gate>,
    begun: BTreeSet<HostName>,
    earlier: Vec<Task>,
    /// What was refused so far: a host's later steps, or all of them (`None`).
    refused: BTreeSet<Option<HostName>>,
    said: StepGraph,
}

impl<'a> Chain<'a> {
    fn new(
        bound: &'a Bound,
        service: Option<&'a dyn Service>,
        facts: &'a Facts,
        scope: &'a Scope,
        scoped_hosts: Option<&'a BTreeSet<HostName>>,
        options: &'a Options,
        before: Before,
    ) -> Self {
        let last = before
            .last
            .into_iter()
            .filter(|(host, _)| bound.hosts.contains(host))
            .collect();
        let said = StepGraph::default();
        Self {
            bound,
            service,
            facts,
            scope,
            scoped_hosts,
            options,
            nodes: Vec::new(),
            last,
            everywhere: before.everywhere,
            wells: before.wells,
            begun: BTreeSet::new(),
            earlier: before.earlier,
            refused: before.refused,
            said,
        }
    }

    fn walk(&mut self) {
        if let Some((playbook, file)) = &self.bound.overrides {
            self.note(Note {
                level: Level::Info,
                service: None,
                host: None,
                text: format!("the playbook {playbook} is {file} instead of the built-in one"),
            });
        }
        let others = self.reached(&self.service.map(Service::others).unwrap_or_default());
        if !self.bound.is_late {
            self.check_hosts(&others);
        }
        for step in &self.bound.steps {
            let reached = self.reached(&step.hosts);
            let plan = step.plan(self.service, &self.cx(&reached, &others));
            let tasks = self.take_in(step.id.as_str(), plan);
            self.tie(step, tasks);
        }
    }

    /// Says which hosts cannot be reached, and which names do not resolve.
    fn check_hosts(&mut self, others: &[HostName]) {
        let hosts: Vec<&HostName> = self
            .bound
            .hosts
            .iter()
            .filter(|host| self.is_acted_on(host))
            .collect();
        for host in hosts {
            if let Some(why) = self.facts.unreachable(host) {
                let why = format!("{host} cannot be reached: {why}");
                self.unplanned(SkippedSteps::All, host.clone(), why);
            }
        }
        if let Some(service) = self.service {
            let reached = self.reached(&self.bound.hosts);
            let plan = generic::names::check(service, &self.cx(&reached, others));
            self.take_in("names", plan);
        }
    }

    fn reached(&self, hosts: &[HostName]) -> Vec<HostName> {
        let reached = |host: &&HostName| self.is_acted_on(host) && self.facts.unreachable(host).is_none();
        hosts.iter().filter(reached).cloned().collect()
    }

    /// Whether a host is in scope. With a scope of services, a playbook of none is for their hosts.
    fn is_acted_on(&self, host: &HostName) -> bool {
        let is_theirs = || self.scoped_hosts.is_none_or(|hosts| hosts.contains(host));
        self.scope.has_host(host) && (self.service.is_some() || is_theirs())
    }

    fn cx<'c>(&'c self, hosts: &'c [HostName], others: &'c [HostName]) -> Cx<'c> {
        Cx {
            facts: self.facts,
            hosts,
            others,
            earlier: &self.earlier,
            consents: &self.options.consents,
            restart: self.options.restart.as_ref(),
        }
    }

    /// Keeps what a step has to say, and returns those of its tasks that no earlier refusal stops.
    fn take_in(&mut self, step: &str, plan: StepPlan) -> Vec<Task> {
        let (tasks, stopped): (Vec<Task>, Vec<Task>) = plan.tasks.into_iter().partition(|task| {
            !self.refused.contains(&None) && !self.refused.contains(&Some(task.host.clone()))
        });
        for task in stopped {
            let why = format!("{}: {NOT_AFTER_REFUSAL}", task.title);
            self.unplanned(SkippedSteps::One(step.to_owned()), task.host, why);
        }
        for note in plan.notes {
            self.note(note);
        }
        for refusal in plan.refusals {
            self.refused.insert(refusal.host.clone());
            self.said.refusals.push(Refusal {
                service: refusal.service.or_else(|| self.name()),
                ..refusal
            });
        }
        for (host, why) in plan.unplanned {
            self.unplanned(SkippedSteps::One(step.to_owned()), host, why);
        }
        tasks
    }

    /// Makes a step's tasks nodes.
    fn tie(&mut self, step: &BoundStep, tasks: Vec<Task>) {
        let before: BTreeSet<NodeId> = self.last.values().cloned().collect();
        let mut queue = Queue::new(self.options.max_unavailable);
        let disrupts = tasks.iter().any(|task| task.disrupts);
        let service = self.service.filter(|_| disrupts).map(|service| {
            let budget = budget::of(service, self.facts, self.options.max_unavailable);
            (service, budget.max_unavailable)
        });
        for task in tasks {
            let id = NodeId::of(&self.bound.rollout, &step.id, &task.part, &task.host);
            let mut needs: BTreeSet<NodeId> = self.last.get(&task.host).cloned().into_iter().collect();
            if step.barrier {
                needs.extend(before.iter().cloned());
            }
            let mut gates = Vec::new();
            if self.begun.insert(task.host.clone()) {
                needs.extend(self.everywhere.iter().cloned());
                gates.clone_from(&self.wells);
            }
            if step.rollout == Rollout::Serial {
                needs.extend(queue.join(&id, task.disrupts));
            }
            let disrupted = service.filter(|_| task.disrupts);
            let groups = disrupted.map(|(service, _)| GroupId::from(service.name()));
            gates.extend(disrupted.map(|(service, most)| budget::guard(service, &task.host, most)));
            gates.extend(task.before.iter().cloned());
            self.last.insert(task.host.clone(), id.clone());
            self.nodes.push(Node {
                id,
                service: self.name(),
                host: task.host.clone(),
                title: task.title.clone(),
                reason: task.reason.clone(),
                action: task.action.clone(),
                preview: task.preview.clone(),
                disrupts: groups.into_iter().collect(),
                before: gates,
                gates: task.gates.clone(),
                needs,
            });
            self.earlier.push(task);
        }
    }

    /// Whether what comes later may rely on this rollout. What is planned is to mend it, and its gates tell whether it did;
    /// a host that cannot be reached is not waited for.
    fn outlook(&self) -> Outlook {
        if let Some(refusal) = self.said.refusals.first() {
            return Outlook::Troubled(refusal.what.clone());
        }
        let Some(service) = self.service.filter(|_| self.nodes.is_empty()) else {
            return Outlook::Sound;
        };
        let is_away = |host: &HostName| self.facts.unreachable(host).is_some();
        match well::trouble(service, self.facts) {
            None => Outlook::Sound,
            Some(why) if service.hosts().iter().any(is_away) => Outlook::Troubled(why),
            Some(_) => Outlook::Awaited(well::gate(service)),
        }
    }

    /// Plans nothing after all, where what it comes after is in trouble.
    fn hold(&mut self, held_by: &[String]) {
        let Some(why) = held_by.first() else { return };
        let whom = if self.bound.is_late {
            "those that use it are"
        } else {
            "what it uses is"
        };
        self.give_up(&format!("not before {whom} well ({why})"));
    }

    /// Plans nothing that disrupts, where the operator wants more members away at once than the service can do without and
    /// does not say so of each of them.
    fn keep_quorum(&mut self) {
        let disrupted: BTreeSet<HostName> = self
            .nodes
            .iter()
            .filter(|node| !node.disrupts.is_empty())
            .map(|node| node.host.clone())
            .collect();
        let (Some(service), false) = (self.service, disrupted.is_empty()) else {
            return;
        };
        let refusals = budget::refusals(service, &disrupted, self.options);
        if refusals.is_empty() {
            return;
        }
        self.give_up(NOT_AFTER_REFUSAL);
        self.said.refusals.extend(refusals);
    }

    /// Plans nothing of all this, and says why.
    fn give_up(&mut self, why: &str) {
        self.last.clear();
        for node in std::mem::take(&mut self.nodes) {
            let why = format!("{}: {why}", node.title);
            self.unplanned(SkippedSteps::One(node.id.to_string()), node.host, why);
        }
    }

    fn name(&self) -> Option<ServiceName> {
        self.service.map(|service| service.name().clone())
    }

    fn note(&mut self, note: Note) {
        self.said.notes.push(Note {
            service: note.service.or_else(|| self.name()),
            ..note
        });
    }

    fn unplanned(&mut self, steps: SkippedSteps, host: HostName, why: String) {
        let service = self.name();
        self.said.unplanned.push(Unplanned {
            service,
            steps,
            host,
            why,
        });
    }
}
