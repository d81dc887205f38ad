//! Which nodes may start now: the pure half of the executor.
//!
//! A node is ready when all that it needs have succeeded. It starts when its host has room and every budget that it
//! takes from has. A host counts against a budget from before its action until its gates have passed, and as long as
//! any node on it does. One that was unavailable when the plan was made counts until a gate proves the contrary; once nothing
//! else can go on, a node that asks right before it acts is started in spite of it.

use std::collections::BTreeMap;

use plan::{NotRun, StepGraph};
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::limits::Limits;

/// The state of a run's nodes.
pub struct Schedule<'g> {
    graph: &'g StepGraph,
    limits: Limits,
    states: Vec<State>,
    position: BTreeMap<&'g NodeId, usize>,
    /// For each node, how many of those that it needs have not succeeded yet, and which need it.
    unmet: Vec<usize>,
    dependants: Vec<Vec<usize>>,
    /// How many nodes run on each host on which any do.
    busy: BTreeMap<&'g HostName, usize>,
    /// For each group, the hosts that are unavailable now.
    unavailable: BTreeMap<&'g GroupId, BTreeMap<&'g HostName, Causes>>,
    /// Why nothing new is started, once that is so.
    halted: Option<NotRun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    Failed,
    NotRun,
}

/// Why a host counts as unavailable.
#[derive(Debug, Clone, Copy, Default)]
struct Causes {
    /// It was when the plan was made, and no gate has proved the contrary.
    before: bool,
    /// Nodes that made it unavailable and have not proved that it is back: they run, or they failed.
    nodes: usize,
}

/// Which unavailable hosts count against a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    All,
    /// Those that nodes of this run made unavailable.
    OfRun,
}

/// How a node ended, for the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It succeeded.
    Done,
    /// It failed before it touched its host; what depends on it is not run.
    Untouched,
    /// It failed; what depends on it is not run.
    Failed,
    /// A precondition did not hold: its host was not touched, and the rest of its service's rollout is not run either.
    Blocked,
    /// Its gate failed: the rest of its service's rollout is not run either.
    RolloutStopped,
    /// The same, and its host is back as it was before.
    RolledBack,
    /// The same because its host was lost, in mid-action perhaps: whatever else has a member there is without it.
    HostLost,
}

impl End {
    /// Whether nothing was done on the host.
    fn is_untouched(self) -> bool {
        matches!(self, Self::Untouched | Self::Blocked)
    }

    /// Whether the rest of the rollout is not run.
    fn stops_rollout(self) -> bool {
        matches!(
            self,
            Self::Blocked | Self::RolloutStopped | Self::RolledBack | Self::HostLost
        )
    }
}

impl<'g> Schedule<'g> {
    /// A schedule in which nothing has started.
    pub fn new(graph: &'g StepGraph, limits: Limits) -> Self {
        let unavailable_before = |host| {
            let causes = Causes {
                before: true,
                nodes: 0,
            };
            (host, causes)
        };
        // A limit of nothing would start nothing and never say why.
        let limits = Limits {
            hosts: limits.hosts.max(1),
            actions_per_host: limits.actions_per_host.max(1),
            ..limits
        };
        let position: BTreeMap<&NodeId, usize> = graph
            .nodes()
            .iter()
            .enumerate()
            .map(|(at, node)| (&node.id, at))
            .collect();
        let mut dependants = vec![Vec::new(); graph.nodes().len()];
        for (at, node) in graph.nodes().iter().enumerate() {
            for needs in &node.needs {
                dependants[position[needs]].push(at);
            }
        }
        Self {
            graph,
            limits,
            states: vec![State::Waiting; graph.nodes().len()],
            position,
            unmet: graph.nodes().iter().map(|node| node.needs.len()).collect(),
            dependants,
            busy: BTreeMap::new(),
            unavailable: graph
                .budgets()
                .iter()
                .map(|(group, budget)| (group, budget.unavailable.iter().map(unavailable_before).collect()))
                .collect(),
            halted: None,
        }
    }

    /// Starts every node that may start now, and returns their positions in the graph.
    ///
    /// Where there is none and none runs, nothing of this run brings back a member that was unavailable when the plan was
    /// made; but it may be back by itself. So a node that has gates before it, which ask, is started then.
    pub fn start(&mut self) -> Vec<usize> {
        let started = self.start_while(Count::All);
        if started.is_empty() && !self.is_running() {
            return self.start_while(Count::OfRun);
        }
        started
    }

    fn start_while(&mut self, count: Count) -> Vec<usize> {
        let mut started = Vec::new();
        if self.halted.is_some() {
            return started;
        }
        for at in 0..self.states.len() {
            if self.states[at] == State::Waiting
                && self.is_ready(at)
                && self.has_room(at)
                && self.take_budgets(at, count)
            {
                self.states[at] = State::Running;
                *self.busy.entry(&self.graph.nodes()[at].host).or_default() += 1;
                started.push(at);
            }
        }
        started
    }

    /// Whether nodes are running.
    pub fn is_running(&self) -> bool {
        self.states.contains(&State::Running)
    }

    /// Nothing new is started from now on.
    pub fn halt(&mut self, why: NotRun) {
        self.halted.get_or_insert(why);
    }

    /// Notes how a node ended, and returns the nodes that can no longer run because of it.
    pub fn finish(&mut self, at: usize, end: End) -> Vec<(usize, NotRun)> {
        let node = &self.graph.nodes()[at];
        if let Some(running) = self.busy.get_mut(&node.host) {
            *running -= 1;
            if *running == 0 {
                self.busy.remove(&node.host);
            }
        }
        if end == End::Done || end == End::RolledBack || end.is_untouched() {
            self.give_back_budgets(at, !end.is_untouched());
        }
        if end == End::Done {
            self.states[at] = State::Done;
            self.mark_available(at);
            for &dependant in &self.dependants[at] {
                self.unmet[dependant] -= 1;
            }
            return Vec::new();
        }
        // Unless it was not touched, its host counts as unavailable: its state is not known.
        self.states[at] = State::Failed;
        if end == End::HostLost {
            self.mark_lost(&node.host);
        }
        if self.limits.fail_fast {
            self.halt(NotRun::FailFast);
        }
        let mut dropped = Vec::new();
        // After a halt nothing starts anyway; the reason is reported once all has ended.
        if end.stops_rollout()
            && self.halted.is_none()
            && let Some(service) = &node.service
        {
            self.drop_rollout(service, &node.id, &mut dropped);
        }
        self.drop_dependants(&mut dropped);
        dropped
    }

    /// Gives up every node that has not started, and says why. Called when nothing runs and nothing can start.
    pub fn give_up(&mut self) -> Vec<(usize, NotRun)> {
        let mut dropped = Vec::new();
        for at in 0..self.states.len() {
            if self.states[at] == State::Waiting && self.is_ready(at) {
                let why = self
                    .halted
                    .clone()
                    .or_else(|| self.lacking_budget(at, Count::All))
                    .unwrap_or(NotRun::FailFast);
                self.states[at] = State::NotRun;
                dropped.push((at, why));
            }
        }
        self.drop_dependants(&mut dropped);
        dropped
    }

    fn is_ready(&self, at: usize) -> bool {
        self.unmet[at] == 0
    }

    fn has_room(&self, at: usize) -> bool {
        match self.busy.get(&self.graph.nodes()[at].host) {
            Some(running) => *running < self.limits.actions_per_host,
            None => self.busy.len() < self.limits.hosts,
        }
    }

    /// Takes the node's budgets if every one of them has room.
    fn take_budgets(&mut self, at: usize, count: Count) -> bool {
        let node = &self.graph.nodes()[at];
        let asks = !node.before.is_empty();
        if self.lacking_budget(at, count).is_some() || (count == Count::OfRun && !asks) {
            return false;
        }
        for group in &node.disrupts {
            let down = self.unavailable.entry(group).or_default();
            down.entry(&node.host).or_default().nodes += 1;
        }
        true
    }

    /// Gives the node's budgets back. Gates that passed prove that a host that was unavailable before is back too.
    fn give_back_budgets(&mut self, at: usize, is_proved: bool) {
        let node = &self.graph.nodes()[at];
        for group in &node.disrupts {
            self.revise(group, &node.host, |causes| {
                causes.nodes = causes.nodes.saturating_sub(1);
                causes.before &= !is_proved;
            });
        }
    }

    /// Changes why a host counts as unavailable; without a cause it does no longer.
    fn revise(&mut self, group: &GroupId, host: &HostName, change: impl FnOnce(&mut Causes)) {
        let Some(down) = self.unavailable.get_mut(group) else {
            return;
        };
        if let Some(causes) = down.get_mut(host) {
            change(causes);
            if causes.nodes == 0 && !causes.before {
                down.remove(host);
            }
        }
    }

    /// A member that was unavailable before is available, where a gate of its service passed on its host: it was started,
    /// for example. So are all others of a group, where a gate before a disruption passed. Fresh facts are a precondition of
    /// each disruption anyway.
    fn mark_available(&mut self, at: usize) {
        let node = &self.graph.nodes()[at];
        for group in node.disrupts.iter().filter(|_| !node.before.is_empty()) {
            if let Some(down) = self.unavailable.get_mut(group) {
                down.retain(|_, causes| {
                    causes.before = false;
                    causes.nodes > 0
                });
            }
        }
        if let Some(service) = node.service.as_ref().filter(|_| !node.gates.is_empty()) {
            self.revise(&GroupId::from(service), &node.host, |causes| {
                causes.before = false;
            });
        }
    }

    /// Takes a host from every group that it is a member of.
    fn mark_lost(&mut self, host: &'g HostName) {
        for (group, budget) in self.graph.budgets() {
            if budget.members.contains(host) {
                let down = self.unavailable.entry(group).or_default();
                down.entry(host).or_default().nodes += 1;
            }
        }
    }

    fn lacking_budget(&self, at: usize, count: Count) -> Option<NotRun> {
        let node = &self.graph.nodes()[at];
        let others = |group: &GroupId| -> Vec<HostName> {
            let down = self.unavailable.get(group).into_iter().flatten();
            let down = down
                .filter(|(host, causes)| **host != &node.host && (causes.nodes > 0 || count == Count::All));
            down.map(|(host, _)| (*host).clone()).collect()
        };
        let mut groups = node.disrupts.iter().map(|group| (group, others(group)));
        let (group, unavailable) =
            groups.find(|(group, others)| others.len() >= self.graph.budgets()[*group].max_unavailable)?;
        Some(NotRun::Budget {
            group: group.clone(),
            unavailable,
        })
    }

    fn drop_rollout(&mut self, service: &ServiceName, by: &NodeId, dropped: &mut Vec<(usize, NotRun)>) {
        for (at, node) in self.graph.nodes().iter().enumerate() {
            if self.states[at] == State::Waiting && node.service.as_ref() == Some(service) {
                self.states[at] = State::NotRun;
                dropped.push((at, NotRun::RolloutStopped { by: by.clone() }));
            }
        }
    }

    /// Nodes stand after what they need, so one pass finds dependants of dependants.
    fn drop_dependants(&mut self, dropped: &mut Vec<(usize, NotRun)>) {
        for (at, node) in self.graph.nodes().iter().enumerate() {
            let lost =
                |id: &&NodeId| matches!(self.states[self.position[*id]], State::Failed | State::NotRun);
            if self.states[at] == State::Waiting
                && let Some(on) = node.needs.iter().find(lost)
            {
                self.states[at] = State::NotRun;
                dropped.push((at, NotRun::Dependency { on: on.clone() }));
            }
        }
    }
}
