//! The words for a run's nodes, by which events refer to them.
//!
//! During a run they come from its step graph; later they come from the journal, which has no more than these. So all that
//! reports a run works on [`Labels`] and not on the graph.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Node, StepGraph};
use types::{GroupId, HostName, NodeId};

use crate::text::one_line;

/// What is shown of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub node: NodeId,
    /// Its host.
    pub host: HostName,
    /// What is done, in words.
    pub title: String,
    /// What had to be done before.
    pub needs: BTreeSet<NodeId>,
    /// The groups of which it makes a member unavailable.
    pub disrupts: BTreeSet<GroupId>,
}

/// The labels of all nodes, in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    labels: Vec<Label>,
    position: BTreeMap<NodeId, usize>,
}

impl Labels {
    /// The labels, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The label of a node.
    pub fn get(&self, node: &NodeId) -> Option<&Label> {
        self.position.get(node).map(|&at| &self.labels[at])
    }

    /// `db1: restart rabbitmq-server`; the node's name where it has no label.
    pub fn name(&self, node: &NodeId) -> String {
        match self.get(node) {
            Some(label) => format!("{}: {}", label.host, label.title),
            None => one_line(node.as_str()),
        }
    }
}

impl From<&Node> for Label {
    fn from(node: &Node) -> Self {
        Self {
            node: node.id.clone(),
            host: node.host.clone(),
            title: node.title.clone(),
            needs: node.needs.clone(),
            disrupts: node.disrupts.clone(),
        }
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut labels: Vec<Label> = labels.into_iter().collect();
        for label in &mut labels {
            // The journal may hold any.
            label.title = one_line(&label.title);
        }
        let named = labels.iter().enumerate();
        let position = named.map(|(at, label)| (label.node.clone(), at)).collect();
        Self { labels, position }
    }
}

impl From<&StepGraph> for Labels {
    fn from(graph: &StepGraph) -> Self {
        graph.nodes().iter().map(Label::from).collect()
    }
}
