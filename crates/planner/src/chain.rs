//! One rollout: its tasks become nodes, each tied to those that come before it.
//!
//! - A node needs the node before it on its host, so hosts do not wait for each other.
//! - At a barrier it needs the latest node of every host.
//! - In a serial step it also needs an earlier node of that step ([`SerialOrder`]).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use config::Rollout as Mode;
use kit::{Cx, Service, StepPlan, Task};
use plan::{Level, Node, Note, Refusal, SkippedSteps, StepGraph, Unplanned};
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::bind::{Bound, BoundStep};
use crate::checks::Check;
use crate::request::PlanCx;
use crate::serial_order::SerialOrder;
use crate::stages::{Predecessors, Readiness, Rollout};
use crate::turns::{self, Placed};
use crate::{budget, checks};

/// Why what comes after a refusal is not planned.
const AFTER_REFUSAL: &str = "depends on a refused step";
/// Why what comes after a step of which too little is known is not planned: the setting of a running process, without the
/// file that keeps it, is gone at its next restart.
const AFTER_UNPLANNED: &str = "depends on a step that could not be planned";

/// Why a file is not written that would stand on all hosts before any process has run with it.
const AFTER_NO_RESTART: &str = "what would prove it is refused or could not be planned";

/// A rollout that was planned.
pub(crate) struct Planned {
    pub(crate) nodes: Vec<Node>,
    /// Notes, refusals, and what could not be planned.
    pub(crate) remarks: StepGraph,
    /// What later stages come after.
    pub(crate) rollout: Rollout,
}

/// One rollout on its way from tasks to nodes.
pub(crate) struct Chain<'a> {
    cx: &'a PlanCx<'a>,
    bound: &'a Bound,
    service: Option<&'a dyn Service>,
    /// What it comes after, and what it added so far.
    latest: Predecessors,
    /// The hosts that have a node of this rollout.
    begun: BTreeSet<HostName>,
    nodes: Vec<Node>,
    remarks: StepGraph,
}

impl<'a> Chain<'a> {
    /// Plans a rollout.
    pub(crate) fn plan(
        cx: &'a PlanCx<'a>,
        bound: &'a Bound,
        service: Option<&'a dyn Service>,
        mut latest: Predecessors,
    ) -> Planned {
        latest.last.retain(|host, _| bound.hosts.contains(host));
        let mut chain = Self {
            cx,
            bound,
            service,
            latest,
            begun: BTreeSet::new(),
            nodes: Vec::new(),
            remarks: StepGraph::default(),
        };
        chain.plan_steps();
        chain.skip_if_blocked();
        chain.refuse_quorum_loss();
        let readiness = chain.readiness();
        let incomplete = chain.incomplete();
        Planned {
            rollout: Rollout {
                name: bound.rollout.clone(),
                service: chain.name(),
                stage: bound.stage,
                latest: chain.latest,
                refused: chain.remarks.refusals.first().map(|refusal| refusal.what.clone()),
                incomplete,
                readiness,
            },
            nodes: chain.nodes,
            remarks: chain.remarks,
        }
    }

    fn plan_steps(&mut self) {
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
        let mut placed = Vec::new();
        // Where the first step that planned nothing more on a host stands, or everywhere (`None`).
        let mut stops: BTreeMap<Option<HostName>, usize> = BTreeMap::new();
        for (at, step) in self.bound.steps.iter().enumerate() {
            let reached = self.reached(&step.hosts);
            let stopped = self.stopped(&reached);
            let plan = step.plan(self.service, &self.step_cx(&reached, &others, &stopped));
            for task in self.admit(step.id.as_str(), plan) {
                let id = NodeId::of(&self.bound.rollout, &step.id, &task.part, &task.host);
                self.latest.earlier.push(task.clone());
                placed.push(Placed::new(id, at, task));
            }
            for host in self.latest.stopped.keys() {
                stops.entry(host.clone()).or_insert(at);
            }
        }
        if self.service.is_some() {
            placed = self.in_turns(placed, &stops);
        }
        for (at, step) in self.bound.steps.iter().enumerate() {
            let placed: Vec<Placed> = placed.extract_if(.., |placed| placed.step == at).collect();
            self.add_nodes(step, placed);
        }
    }

    /// Puts the files of members into their turns. `stops` says at which step a host's plan ended, or everybody's.
    fn in_turns(
        &mut self,
        mut placed: Vec<Placed>,
        stops: &BTreeMap<Option<HostName>, usize>,
    ) -> Vec<Placed> {
        let bound = self.bound;
        let is_serial = |at: usize| bound.steps[at].rollout == Mode::Serial;
        let is_stopped = |step: usize, host: &HostName| {
            let ends = |key: &Option<HostName>| stops.get(key).is_some_and(|at| *at > step);
            ends(&None) || ends(&Some(host.clone()))
        };
        for Placed { id, task, .. } in turns::remove_unproven(&mut placed, is_serial, is_stopped) {
            self.latest.earlier.retain(|earlier| *earlier != task);
            let why = format!("{}: {AFTER_NO_RESTART}", task.title);
            self.unplanned(SkippedSteps::One(id.step().to_owned()), task.host, why, false);
        }
        turns::arrange(placed, is_serial)
    }

    /// Reports which hosts cannot be reached, and which names do not resolve.
    fn check_hosts(&mut self, others: &[HostName]) {
        for host in &self.bound.hosts {
            let is_told = self.cx.pauses.host(host).is_some() || !self.is_in_scope(host);
            if let Some(why) = self.cx.facts.unreachable(host).filter(|_| !is_told) {
                let why = format!("{host} cannot be reached: {why}");
                self.unplanned(SkippedSteps::All, host.clone(), why, false);
            }
        }
        if let Some(service) = self.service {
            let reached = self.reached(&self.bound.hosts);
            let stopped = self.stopped(&reached);
            let plan = generic::resolution::check(service, &self.step_cx(&reached, others, &stopped));
            self.admit("names", plan);
        }
    }

    fn reached(&self, hosts: &[HostName]) -> Vec<HostName> {
        let reached = |host: &&HostName| self.is_in_scope(host) && self.cx.facts.unreachable(host).is_none();
        hosts.iter().filter(reached).cloned().collect()
    }

    /// Whether a host is in scope. With a scope of services, a playbook of none is for their hosts.
    fn is_in_scope(&self, host: &HostName) -> bool {
        let hosts = self.cx.scoped_hosts.as_ref().filter(|_| self.service.is_none());
        self.cx.scope.has_host(host) && hosts.is_none_or(|hosts| hosts.contains(host))
    }

    /// The hosts on which nothing is planned any more.
    fn stopped(&self, hosts: &[HostName]) -> BTreeSet<HostName> {
        let is_stopped = |host: &&HostName| self.why_stopped(host).is_some();
        hosts.iter().filter(is_stopped).cloned().collect()
    }

    /// Why nothing is planned on a host any more.
    fn why_stopped(&self, host: &HostName) -> Option<&'static str> {
        let stopped = &self.latest.stopped;
        let why = stopped.get(&None).or_else(|| stopped.get(&Some(host.clone())));
        why.copied()
    }

    fn step_cx<'c>(
        &'c self,
        hosts: &'c [HostName],
        others: &'c [HostName],
        stopped: &'c BTreeSet<HostName>,
    ) -> Cx<'c> {
        Cx {
            facts: self.cx.facts,
            hosts,
            others,
            earlier: &self.latest.earlier,
            stopped,
            consents: &self.cx.options.consents,
            restart: self.cx.options.restart.as_ref(),
        }
    }

    /// Keeps the notes and refusals of a step, and returns those of its tasks that nothing before it stops.
    fn admit(&mut self, step: &str, plan: StepPlan) -> Vec<Task> {
        let step = SkippedSteps::One(step.to_owned());
        let plan = self.without_paused(plan);
        let mut tasks = Vec::new();
        for task in plan.tasks {
            match self.why_stopped(&task.host) {
                None => tasks.push(task),
                Some(why) => {
                    let why = format!("{}: {why}", task.title);
                    self.unplanned(step.clone(), task.host, why, false);
                }
            }
        }
        for note in plan.notes {
            self.note(note);
        }
        for refusal in plan.refusals {
            self.latest.stopped.insert(refusal.host.clone(), AFTER_REFUSAL);
            self.remarks.refusals.push(Refusal {
                service: refusal.service.or_else(|| self.name()),
                ..refusal
            });
        }
        let unplanned = plan.unplanned.into_iter().map(|(host, why)| (host, why, false));
        let not_yet = plan.not_yet.into_iter().map(|(host, why)| (host, why, true));
        for (host, why, passing) in unplanned.chain(not_yet) {
            let stopped = &mut self.latest.stopped;
            stopped.entry(Some(host.clone())).or_insert(AFTER_UNPLANNED);
            self.unplanned(step.clone(), host, why, passing);
        }
        tasks
    }

    /// What a step says without what it says of paused hosts: that nothing is done there is the operator's wish.
    fn without_paused(&self, mut plan: StepPlan) -> StepPlan {
        let goes_on = |host: &HostName| self.cx.pauses.host(host).is_none();
        plan.tasks.retain(|task| goes_on(&task.host));
        plan.refusals
            .retain(|refusal| refusal.host.as_ref().is_none_or(goes_on));
        plan.unplanned.retain(|(host, _)| goes_on(host));
        plan.not_yet.retain(|(host, _)| goes_on(host));
        plan
    }

    fn add_nodes(&mut self, step: &BoundStep, placed: Vec<Placed>) {
        let all: BTreeSet<NodeId> = self.latest.last.values().cloned().collect();
        let width = self.cx.options.max_unavailable;
        let mut serial = SerialOrder::new(width);
        let disrupts = placed.iter().any(|placed| placed.task.disrupts);
        let service = self.service.filter(|_| disrupts).map(|service| {
            let budget = budget::of(service, self.cx);
            (service, budget.max_unavailable)
        });
        for placed in placed {
            let rollback = placed.rollback();
            let Placed {
                id,
                task,
                proof,
                opens,
                ..
            } = placed;
            let mut needs: BTreeSet<NodeId> = self.latest.last.get(&task.host).cloned().into_iter().collect();
            if step.barrier {
                needs.extend(all.iter().cloned());
            }
            let mut before = Vec::new();
            if self.begun.insert(task.host.clone()) {
                needs.extend(self.latest.everywhere.iter().cloned());
                before.clone_from(&self.latest.health_gates);
            }
            needs.extend(proof.iter().cloned());
            match (step.rollout, opens) {
                (Mode::Parallel, _) => {}
                (Mode::Serial, Some(disrupts)) => needs.extend(serial.turn(disrupts)),
                // It belongs to nobody's turn.
                (Mode::Serial, None) if proof.is_some() => {}
                (Mode::Serial, None) => needs.extend(serial.add(&id, task.disrupts)),
            }
            let disrupted = service.filter(|_| task.disrupts);
            // A budget of none makes no graph.
            let most = disrupted.and_then(|(_, most)| NonZeroUsize::new(most));
            before.extend(
                disrupted
                    .zip(most)
                    .map(|((service, _), most)| Check::Budget(most).gate(service, Some(&task.host))),
            );
            before.extend(task.before.iter().cloned());
            self.latest.last.insert(task.host.clone(), id.clone());
            self.nodes.push(Node {
                id,
                service: self.name(),
                host: task.host.clone(),
                title: task.title.clone(),
                reason: task.reason.clone(),
                action: task.action.clone(),
                preview: task.preview.clone(),
                disrupts: disrupted
                    .map(|(service, _)| GroupId::from(service.name()))
                    .into_iter()
                    .collect(),
                before,
                gates: task.gates.clone(),
                needs,
                rollback,
            });
        }
    }

    /// Whether later rollouts may rely on this one. Where it plans changes, their gates prove that the service is healthy
    /// afterwards. A host that cannot be reached is not waited for.
    fn readiness(&self) -> Readiness {
        if let Some(refusal) = self.remarks.refusals.first() {
            return Readiness::Blocked(refusal.what.clone());
        }
        let Some(service) = self.service.filter(|_| self.nodes.is_empty()) else {
            return Readiness::Ready;
        };
        let is_unreachable = |host: &HostName| self.cx.facts.unreachable(host).is_some();
        match checks::problem(service, self.cx.facts) {
            None => Readiness::Ready,
            Some(why) if service.hosts().iter().any(is_unreachable) => Readiness::Blocked(why),
            Some(_) => Readiness::Awaited(Check::Healthy.gate(service, None)),
        }
    }

    /// The first member that it leaves as it is, and why.
    fn incomplete(&self) -> Option<String> {
        let mut members = self.service.into_iter().flat_map(Service::hosts);
        members.find_map(|host| match self.cx.pauses.host(host) {
            Some(paused) => Some(format!("{host} is {paused}")),
            None => Some(format!(
                "{host} cannot be reached: {}",
                self.cx.facts.unreachable(host)?
            )),
        })
    }

    /// Plans nothing, where a rollout that it comes after has a problem.
    fn skip_if_blocked(&mut self) {
        if let Some(why) = self.latest.blocked_by.first() {
            let other = if self.bound.is_late {
                "a service that uses it"
            } else {
                "a service that it uses"
            };
            self.skip_all(&format!("{other} is not healthy ({why})"));
        }
    }

    /// Plans no disruption, where the operator wants more members unavailable at once than the quorum tolerates and does
    /// not consent to it for each of them.
    fn refuse_quorum_loss(&mut self) {
        let disrupted: BTreeSet<HostName> = self
            .nodes
            .iter()
            .filter(|node| !node.disrupts.is_empty())
            .map(|node| node.host.clone())
            .collect();
        let (Some(service), false) = (self.service, disrupted.is_empty()) else {
            return;
        };
        let mut refusals = budget::refusals(service, &disrupted, self.cx.options);
        refusals.extend(budget::paused_refusal(service, self.cx));
        if !refusals.is_empty() {
            self.skip_all(AFTER_REFUSAL);
            self.remarks.refusals.extend(refusals);
        }
    }

    /// Plans nothing of all this, and says why.
    fn skip_all(&mut self, why: &str) {
        self.latest.last.clear();
        for node in std::mem::take(&mut self.nodes) {
            let why = format!("{}: {why}", node.title);
            self.unplanned(SkippedSteps::One(node.id.to_string()), node.host, why, false);
        }
    }

    fn name(&self) -> Option<ServiceName> {
        self.service.map(|service| service.name().clone())
    }

    fn note(&mut self, note: Note) {
        self.remarks.notes.push(Note {
            service: note.service.or_else(|| self.name()),
            ..note
        });
    }

    fn unplanned(&mut self, steps: SkippedSteps, host: HostName, why: String, passing: bool) {
        self.remarks.unplanned.push(Unplanned {
            service: self.name(),
            steps,
            host,
            why,
            passing,
        });
    }
}
