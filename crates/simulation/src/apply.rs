//! One apply, as `clusterctl apply` does it: look, plan, take the locks, run, look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use executor::{Connections, Limits, Stop, gather};
use plan::{Budget, Event, Facts, NodeOutcome, StepGraph};
use planner::{Options, Scope};
use protocol::LockHolder;
use tokio::sync::{mpsc, watch};
use transport::Transport;
use transport::tap::Tap;
use types::GroupId;

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
        let run = match name.parse() {
            Ok(run) => run,
            Err(error) => return End::Broken(format!("{error}")),
        };
        let mut connections = self.connections(read);
        let graph = match self.look(&connections, read, options).await {
            Ok(graph) => graph,
            Err(broken) => return broken,
        };
        self.site
            .note(|| format!("{name} plans {} steps", graph.nodes().len()));
        if graph.nodes().is_empty() {
            return left(&graph);
        }
        let holder = LockHolder {
            who: name.to_owned(),
            since: String::new(),
            run,
        };
        if let Err(error) = connections.take_locks(holder).await {
            self.site.note(|| format!("{name}: {error}"));
            return End::Held;
        }
        if !self.is_reckless {
            self.site.set_budgets(&graph);
        }
        self.run(&graph, &connections, read, name, stop).await;
        match self.look(&connections, read, options).await {
            Ok(graph) => left(&graph),
            Err(broken) => broken,
        }
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

    async fn look(
        &self,
        connections: &Connections,
        read: &Read,
        options: &Options,
    ) -> Result<StepGraph, End> {
        let scope = Scope::default();
        let facts = observe(connections, read).await;
        let graph = read.project.plan(&facts, &scope, options);
        let graph = graph.and_then(|graph| {
            if self.is_reckless {
                without_budgets(graph)
            } else {
                Ok(graph)
            }
        });
        graph.map_err(|error| End::Broken(format!("no plan: {error}")))
    }

    async fn run(
        &self,
        graph: &StepGraph,
        connections: &Connections,
        read: &Read,
        name: &str,
        stop: watch::Receiver<Stop>,
    ) {
        let (events, mut queue) = mpsc::unbounded_channel();
        let running = executor::run(graph, connections, &read.project, Limits::default(), stop, events);
        let watching = async {
            while let Some(event) = queue.recv().await {
                self.tell(name, &event);
            }
        };
        tokio::join!(running, watching);
    }

    /// Writes down what an operator would look at twice.
    fn tell(&self, name: &str, event: &Event) {
        match event {
            Event::NodeStarted { node, .. } => self.site.note(|| format!("{name} begins {node}")),
            Event::NodeWaiting { node, why } => self.site.note(|| format!("{name} waits at {node}: {why}")),
            Event::NodeFinished {
                node,
                outcome: NodeOutcome::Failed { failure },
            } => self.site.note(|| format!("{name} fails at {node}: {failure:?}")),
            Event::RunFinished { outcome } => self.site.note(|| format!("{name} ends: {outcome:?}")),
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
