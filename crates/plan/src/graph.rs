//! The step graph: the nodes of a plan, what each waits for, and the disruption budgets they share.
//!
//! A graph that exists is sound: [`StepGraph::new`] refuses duplicate nodes, dependencies on nodes that are not
//! there, circles, and disruptions without a budget. The executor relies on it and checks nothing again.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graphmap::DiGraphMap;
use protocol::{Action, Text};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::{Basis, Gate, Note, Passing, Paused, Refusal, Unplanned};

/// One step on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the graph.
    pub id: NodeId,
    /// The service whose rollout it belongs to; `None` for a step of a playbook without one.
    pub service: Option<ServiceName>,
    /// The host that it acts on.
    pub host: HostName,
    /// What is done, in words: `restart rabbitmq-server`.
    pub title: String,
    /// Why it is needed: `the cookie is newer than the running node`.
    pub reason: String,
    /// The change; `None` for a node that only waits for its gates.
    pub action: Option<Action>,
    /// The change as it can be shown, if it can.
    pub preview: Option<Preview>,
    /// The quorum groups of which the action makes this host's member unavailable.
    pub disrupts: BTreeSet<GroupId>,
    /// Gates right before the action, when the budget is taken: nothing is touched before they pass.
    #[serde(default)]
    pub before: Vec<Gate>,
    /// Gates after it: they pass before dependants start, and before the disruption counts as over.
    pub gates: Vec<Gate>,
    /// The nodes that must have succeeded before.
    pub needs: BTreeSet<NodeId>,
    /// How its host is put back where the change fails for certain; `None` where nothing can be.
    #[serde(default)]
    pub rollback: Option<Rollback>,
}

/// What puts a member back that a change of its files does not become. It is done once, and only with what the run itself
/// wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    /// The nodes on the same host that change its files, in order; of several that change one file the last counts.
    pub files: Vec<NodeId>,
    /// What puts the old files into force; `None` where nothing needs to.
    pub action: Option<Action>,
    /// What must come true then.
    pub gates: Vec<Gate>,
}

/// A change as it can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preview {
    /// A file's text before and after; `None` before where it is created.
    File {
        /// Its path.
        path: String,
        /// The text that stands there.
        before: Option<Text>,
        /// The text that is written.
        after: Text,
    },
    /// Commands, as an operator would type them.
    Commands(Vec<String>),
}

/// How many members of a quorum group may be unavailable at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The members.
    pub members: BTreeSet<HostName>,
    /// How many of them may be unavailable at once.
    pub max_unavailable: usize,
    /// Those that were unavailable when the plan was made.
    pub unavailable: BTreeSet<HostName>,
}

/// A plan: nodes in an order in which they could run one by one, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "SerializedGraph")]
pub struct StepGraph {
    nodes: Vec<Node>,
    budgets: BTreeMap<GroupId, Budget>,
    /// What the operator should know.
    pub notes: Vec<Note>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// What could not be planned.
    pub unplanned: Vec<Unplanned>,
    /// Where nothing was planned because the operator said so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<Paused>,
    /// What the parts of those services rest on that there are nodes for.
    pub basis: BTreeMap<ServiceName, Vec<Basis>>,
}

/// A graph as it was read from a file that may have been edited: not sound before it was checked.
#[derive(Deserialize)]
struct SerializedGraph {
    nodes: Vec<Node>,
    budgets: BTreeMap<GroupId, Budget>,
    notes: Vec<Note>,
    refusals: Vec<Refusal>,
    unplanned: Vec<Unplanned>,
    #[serde(default)]
    paused: Vec<Paused>,
    #[serde(default)]
    basis: BTreeMap<ServiceName, Vec<Basis>>,
}

impl TryFrom<SerializedGraph> for StepGraph {
    type Error = GraphError;

    fn try_from(written: SerializedGraph) -> Result<Self, GraphError> {
        let graph = Self::new(written.nodes, written.budgets)?;
        Ok(Self {
            notes: written.notes,
            refusals: written.refusals,
            unplanned: written.unplanned,
            paused: written.paused,
            basis: written.basis,
            ..graph
        })
    }
}

/// Why nodes and budgets are no graph. All of these are defects of the planner or a playbook, never of a
/// host; or a saved plan was edited.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GraphError {
    /// Two nodes have the same name.
    #[error("two nodes are named {0}")]
    Duplicate(NodeId),
    /// A node needs one that is not in the graph.
    #[error("{node} needs {needs}, which is not in the plan")]
    Missing {
        /// The node.
        node: NodeId,
        /// What it needs.
        needs: NodeId,
    },
    /// Nodes need each other in a circle.
    #[error("{0} needs itself, through others")]
    Circle(NodeId),
    /// A node disrupts a group that has no budget, or of which its host is no member.
    #[error("{node} disrupts {group}, which has no budget for its host")]
    NoBudget {
        /// The node.
        node: NodeId,
        /// The group.
        group: GroupId,
    },
    /// A node disrupts a group and has no gate that ends the disruption.
    #[error("{0} disrupts a group and has no gate after it")]
    NoGate(NodeId),
    /// A budget that allows no disruption while nodes need one.
    #[error("the budget of {0} allows no member to be unavailable, and the plan makes one unavailable")]
    EmptyBudget(GroupId),
}

impl StepGraph {
    /// Makes a graph of nodes and budgets, and orders the nodes so that each stands after those it needs.
    pub fn new(nodes: Vec<Node>, budgets: BTreeMap<GroupId, Budget>) -> Result<Self, GraphError> {
        let mut seen = BTreeSet::new();
        for node in &nodes {
            if !seen.insert(&node.id) {
                return Err(GraphError::Duplicate(node.id.clone()));
            }
        }
        for node in &nodes {
            if let Some(needs) = node.needs.iter().find(|needs| !seen.contains(needs)) {
                return Err(GraphError::Missing {
                    node: node.id.clone(),
                    needs: needs.clone(),
                });
            }
            let mut files = node.rollback.iter().flat_map(|rollback| &rollback.files);
            if let Some(file) = files.find(|file| !seen.contains(file)) {
                return Err(GraphError::Missing {
                    node: node.id.clone(),
                    needs: file.clone(),
                });
            }
            check_budget(node, &budgets)?;
        }
        let nodes = in_order(nodes)?;
        Ok(Self {
            nodes,
            budgets,
            ..Self::default()
        })
    }

    /// The graph with words of its nodes changed. Names, needs and disruptions must stay: the graph is not checked again.
    pub(crate) fn map_nodes(mut self, change: impl FnMut(&mut Node)) -> Self {
        self.nodes.iter_mut().for_each(change);
        self
    }

    /// The nodes, each after those it needs.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The disruption budgets by group.
    pub fn budgets(&self) -> &BTreeMap<GroupId, Budget> {
        &self.budgets
    }

    /// Whether there are no changes, no refusals and nothing unplanned: the cluster matches its inventory.
    pub fn is_converged(&self) -> bool {
        self.nodes.is_empty() && self.refusals.is_empty() && self.unplanned.is_empty()
    }

    /// What is refused or not planned and may pass by itself.
    pub fn passing(&self) -> impl Iterator<Item = Passing<'_>> {
        let refusals = self.refusals.iter().filter(|refusal| refusal.passing);
        let unplanned = self.unplanned.iter().filter(|unplanned| unplanned.passing);
        let refusals = refusals.map(|refusal| Passing {
            service: refusal.service.as_ref(),
            host: refusal.host.as_ref(),
            why: &refusal.why,
        });
        refusals.chain(unplanned.map(|unplanned| Passing {
            service: unplanned.service.as_ref(),
            host: Some(&unplanned.host),
            why: &unplanned.why,
        }))
    }
}

fn check_budget(node: &Node, budgets: &BTreeMap<GroupId, Budget>) -> Result<(), GraphError> {
    for group in &node.disrupts {
        let missing = || GraphError::NoBudget {
            node: node.id.clone(),
            group: group.clone(),
        };
        let budget = budgets
            .get(group)
            .filter(|budget| budget.members.contains(&node.host))
            .ok_or_else(missing)?;
        if budget.max_unavailable == 0 {
            return Err(GraphError::EmptyBudget(group.clone()));
        }
    }
    if !node.disrupts.is_empty() && node.gates.is_empty() {
        return Err(GraphError::NoGate(node.id.clone()));
    }
    Ok(())
}

/// Orders nodes after what they need. Among nodes that are free to go, the given order stays.
fn in_order(nodes: Vec<Node>) -> Result<Vec<Node>, GraphError> {
    let position: BTreeMap<&NodeId, usize> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (&node.id, at))
        .collect();
    let mut graph: DiGraphMap<usize, ()> = DiGraphMap::new();
    for (at, node) in nodes.iter().enumerate() {
        graph.add_node(at);
        for needs in &node.needs {
            graph.add_edge(position[needs], at, ());
        }
    }
    let mut waiting: Vec<usize> = (0..nodes.len())
        .map(|at| graph.neighbors_directed(at, petgraph::Incoming).count())
        .collect();
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| waiting[at] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first() {
        order.push(at);
        for next in graph.neighbors(at) {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert(next);
            }
        }
    }
    if let Some(stuck) = waiting.iter().position(|&count| count > 0) {
        return Err(GraphError::Circle(nodes[stuck].id.clone()));
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| nodes[at].take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, needs: &[&str]) -> Node {
        Node {
            id: id.parse().unwrap(),
            service: None,
            host: "db1".parse().unwrap(),
            title: String::new(),
            reason: String::new(),
            action: None,
            preview: None,
            disrupts: BTreeSet::new(),
            before: Vec::new(),
            gates: Vec::new(),
            needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
            rollback: None,
        }
    }

    fn ids(graph: &StepGraph) -> Vec<&str> {
        graph.nodes().iter().map(|node| node.id.as_str()).collect()
    }

    #[test]
    fn nodes_stand_after_what_they_need_and_keep_their_order_otherwise() {
        let nodes = vec![node("c", &["a"]), node("b", &[]), node("a", &[])];
        let graph = StepGraph::new(nodes, BTreeMap::new()).unwrap();
        assert_eq!(ids(&graph), ["b", "a", "c"]);
    }

    #[test]
    fn unsound_graphs_are_refused() {
        let circle = vec![node("a", &["b"]), node("b", &["a"])];
        assert_eq!(
            StepGraph::new(circle, BTreeMap::new()),
            Err(GraphError::Circle("a".parse().unwrap()))
        );
        let twice = vec![node("a", &[]), node("a", &[])];
        assert_eq!(
            StepGraph::new(twice, BTreeMap::new()),
            Err(GraphError::Duplicate("a".parse().unwrap()))
        );
        let missing = vec![node("a", &["z"])];
        assert!(matches!(
            StepGraph::new(missing, BTreeMap::new()),
            Err(GraphError::Missing { .. })
        ));
    }

    #[test]
    fn a_graph_is_checked_when_it_is_read() {
        let nodes = vec![node("a", &[]), node("b", &["a"])];
        let graph = StepGraph::new(nodes, BTreeMap::new()).unwrap();
        let text = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<StepGraph>(&text).unwrap(), graph);
        let circle = text.replacen("\"needs\":[]", "\"needs\":[\"b\"]", 1);
        let error = serde_json::from_str::<StepGraph>(&circle).unwrap_err();
        assert!(error.to_string().contains("needs itself"), "{error}");
        let missing = text.replacen("\"needs\":[]", "\"needs\":[\"z\"]", 1);
        let error = serde_json::from_str::<StepGraph>(&missing).unwrap_err();
        assert!(error.to_string().contains("not in the plan"), "{error}");
        let disrupts = text.replacen("\"disrupts\":[]", "\"disrupts\":[\"mq\"]", 1);
        let error = serde_json::from_str::<StepGraph>(&disrupts).unwrap_err();
        assert!(error.to_string().contains("has no budget"), "{error}");
    }

    #[test]
    fn a_disruption_needs_a_budget_that_knows_its_host_and_a_gate() {
        let mut disruptive = node("a", &[]);
        let group: GroupId = "mq".parse().unwrap();
        disruptive.disrupts.insert(group.clone());
        let result = StepGraph::new(vec![disruptive.clone()], BTreeMap::new());
        assert!(matches!(result, Err(GraphError::NoBudget { .. })));
        let budget = |max_unavailable| Budget {
            members: BTreeSet::from(["db1".parse().unwrap()]),
            max_unavailable,
            unavailable: BTreeSet::new(),
        };
        let result = StepGraph::new(
            vec![disruptive.clone()],
            BTreeMap::from([(group.clone(), budget(1))]),
        );
        assert_eq!(result, Err(GraphError::NoGate("a".parse().unwrap())));
        let result = StepGraph::new(vec![disruptive], BTreeMap::from([(group.clone(), budget(0))]));
        assert_eq!(result, Err(GraphError::EmptyBudget(group)));
    }
}
