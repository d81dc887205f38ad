//! One apply, as `clusterctl apply` does it: look, plan, take the locks, run, look again, for as many rounds as it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use executor::{Connections, Limits, Stop, gather, round_pause, settle};
use plan::{Budget, Event, Facts, HostFacts, NodeOutcome, Outcome, Passing, StepGraph};
use planner::{Options, ROUNDS, Scope, is_within, stopped_by_changes};
use protocol::{FactQuery, LockHolder};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use transport::Transport;
use transport::tap::Tap;
use types::GroupId;

use crate::harm;
use crate::network::Network;
use crate::project::Read;
use crate::site::Site;

/// What an apply works with.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) site: Arc<Site>,
    pub(crate) network: Network,
    /// What listens to all that goes to the hosts, if anything does.
    pub(crate) tap: Option<Tap>,
    /// Plans without budgets: what the simulation must not let pass.
    pub(crate) is_reckless: bool,
}

/// How an apply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The plan is empty.
    Converged,
    /// Something is left to do, and what; whether a person must do it, by what a refusal says.
    Left { what: String, by_hand: bool },
    /// Somebody else holds a host.
    Held,
    /// The operator interrupted it.
    Interrupted,
    /// A defect: there is no plan at all.
    Broken(String),
}

impl Operator {
    /// Applies once.
    pub(crate) async fn apply(
        &self,
        read: &Read,
        options: &Options,
        name: &str,
        stop: watch::Receiver<Stop>,
    ) -> End {
        let turn = Turn {
            operator: self,
            read,
            options,
            name,
            stop,
        };
        turn.apply().await.unwrap_or_else(|end| end)
    }

    /// Connections to all hosts of a project.
    pub(crate) fn connections(&self, read: &Read) -> Connections {
        let hosts = read.project.queries(&Scope::default()).into_keys();
        let way: Arc<dyn Transport> = match &self.tap {
            Some(tap) => Arc::new(tap.clone()),
            None => Arc::new(self.network.clone()),
        };
        Connections::new(way, hosts, read.secrets.clone(), 8)
    }
}

/// One apply.
struct Turn<'a> {
    operator: &'a Operator,
    read: &'a Read,
    options: &'a Options,
    name: &'a str,
    stop: watch::Receiver<Stop>,
}

impl Turn<'_> {
    async fn apply(&self) -> Result<End, End> {
        let run = self.name.parse();
        let run = run.map_err(|error: types::NameError| End::Broken(error.to_string()))?;
        let mut connections = self.operator.connections(self.read);
        let graph = self.settled(&connections).await?;
        self.note(|| format!("plans {} steps", graph.nodes().len()));
        if graph.nodes().is_empty() {
            return Ok(left(&graph));
        }
        let holder = LockHolder {
            who: self.name.to_owned(),
            since: String::new(),
            run,
        };
        if let Err(error) = connections.take_locks(holder).await {
            self.note(|| error.to_string());
            return Err(End::Held);
        }
        self.rounds(graph, &connections).await
    }

    /// Carries out the plan, and what is left of it where the hosts changed meanwhile.
    async fn rounds(&self, approved: StepGraph, connections: &Connections) -> Result<End, End> {
        let mut graph = approved.clone();
        for round in 1.. {
            if !self.operator.is_reckless {
                self.operator.site.set_budgets(&graph);
            }
            let (outcome, events) = self.run(&graph, connections).await;
            if outcome.interrupted {
                return Err(End::Interrupted);
            }
            let has_another = round < ROUNDS && stopped_by_changes(&events);
            if has_another {
                self.unless_stopped(sleep(round_pause(round))).await?;
            }
            let after = self.settled(connections).await?;
            if !has_another || !is_within(&approved, &after) {
                return Ok(left(&after));
            }
            graph = after;
        }
        Err(End::Interrupted)
    }

    /// The plan, once nothing is refused or skipped that passes by itself.
    async fn settled(&self, connections: &Connections) -> Result<StepGraph, End> {
        let work = async {
            let first = self.look(connections).await?;
            let again = async || self.look(connections).await;
            let report = |graph: &StepGraph, _| {
                let why = |passing: Passing<'_>| passing.why.to_owned();
                self.note(|| format!("waits: {:?}", graph.passing().map(why).collect::<Vec<_>>()));
                Ok(())
            };
            settle(first, again, report).await
        };
        self.unless_stopped(work).await?
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, End> {
        let mut stop = self.stop.clone();
        let stopped = async {
            if stop.wait_for(|stop| *stop == Stop::Asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(End::Interrupted),
            done = work => Ok(done),
        }
    }

    async fn look(&self, connections: &Connections) -> Result<StepGraph, End> {
        let scope = Scope::default();
        let facts = observe(connections, self.read).await;
        let graph = self.read.project.plan(&facts, &scope, self.options);
        if let Ok(graph) = &graph {
            self.check_doubts(&facts, graph);
        }
        let graph = graph.and_then(|graph| {
            if self.operator.is_reckless {
                without_budgets(graph)
            } else {
                Ok(graph)
            }
        });
        graph.map_err(|error| End::Broken(format!("no plan: {error}")))
    }

    /// Plans once more, with the true answers in place of those that failed: what the plan would do beyond must not be.
    fn check_doubts(&self, facts: &Facts, graph: &StepGraph) {
        let (site, project) = (&self.operator.site, &self.read.project);
        let Some(mut truth) = site.doubts.truth(facts) else {
            return;
        };
        let scope = Scope::default();
        for (host, queries) in project.further(&scope, &mut truth) {
            let is_new = |query: &FactQuery| truth.answer_to(&host, query).is_none();
            let queries: Vec<FactQuery> = queries.into_iter().filter(is_new).collect();
            if truth.unreachable(&host).is_none() {
                let answers = site.answer(&host, &queries);
                let answers = queries.into_iter().zip(answers).collect();
                truth.add(host, HostFacts::Observed(answers));
            }
        }
        // What is no plan with the truth is a defect that a run without failing questions finds.
        if let Ok(whole) = project.plan(&truth, &scope, self.options) {
            for harm in harm::beyond(graph, &whole, harm::is_free) {
                site.violation(&format!("a question failed, and {harm}"));
            }
        }
    }

    async fn run(&self, graph: &StepGraph, connections: &Connections) -> (Outcome, Vec<Event>) {
        let (events, mut queue) = mpsc::unbounded_channel();
        let (project, limits) = (&self.read.project, Limits::default());
        let running = executor::run(graph, connections, project, limits, self.stop.clone(), events);
        let watching = async {
            let mut seen = Vec::new();
            while let Some(event) = queue.recv().await {
                self.tell(&event);
                seen.push(event);
            }
            seen
        };
        tokio::join!(running, watching)
    }

    fn note(&self, what: impl Fn() -> String) {
        self.operator.site.note(|| format!("{}: {}", self.name, what()));
    }

    /// Writes down what an operator would look at twice.
    fn tell(&self, event: &Event) {
        match event {
            Event::NodeStarted { node, .. } => self.note(|| format!("begins {node}")),
            Event::NodeWaiting { node, why } => self.note(|| format!("waits at {node}: {why}")),
            Event::NodeFinished {
                node,
                outcome: NodeOutcome::Failed { failure },
            } => self.note(|| format!("fails at {node}: {failure:?}")),
            Event::RunFinished { outcome } => self.note(|| format!("ends: {outcome:?}")),
            _ => {}
        }
    }
}

/// Observes all that a project needs to know.
pub(crate) async fn observe(connections: &Connections, read: &Read) -> Facts {
    let scope = Scope::default();
    let mut facts = gather(connections, read.project.queries(&scope)).await;
    let further = read.project.further(&scope, &mut facts);
    facts.extend(gather(connections, further).await);
    facts
}

fn left(graph: &StepGraph) -> End {
    if graph.is_converged() {
        return End::Converged;
    }
    let nodes = graph
        .nodes()
        .iter()
        .map(|node| format!("{}: {}", node.id, node.title));
    let refused = graph
        .refusals
        .iter()
        .map(|refusal| format!("refused: {}, because {}", refusal.what, refusal.why));
    let unplanned = graph
        .unplanned
        .iter()
        .map(|unplanned| format!("not planned on {}: {}", unplanned.host, unplanned.why));
    let all: Vec<String> = nodes.chain(refused).chain(unplanned).collect();
    let by_hand = graph
        .refusals
        .iter()
        .any(|refusal| refusal.resolve.contains("restart"));
    End::Left {
        what: all.join("; "),
        by_hand,
    }
}

/// The same plan where everybody may be away at once and nobody asks who serves.
fn without_budgets(graph: StepGraph) -> Result<StepGraph, plan::GraphError> {
    let nodes = graph.nodes().iter().cloned().map(|mut node| {
        node.before = Vec::new();
        node
    });
    let budgets = graph.budgets().iter().map(|(group, budget)| {
        let all = Budget {
            max_unavailable: budget.members.len(),
            unavailable: BTreeSet::new(),
            ..budget.clone()
        };
        (group.clone(), all)
    });
    let budgets: BTreeMap<GroupId, Budget> = budgets.collect();
    let mut reckless = StepGraph::new(nodes.collect(), budgets)?;
    reckless.notes = graph.notes;
    reckless.refusals = graph.refusals;
    reckless.unplanned = graph.unplanned;
    Ok(reckless)
}
