//! A plan folded for reading: hosts with the same change share a line, and batches that differ only in their host
//! share one too (`db1, then db2, then db3`). Without it the plan of fifty hosts would be fifty times as long, and
//! the one host that differs would drown.

use plan::{Node, StepGraph};
use types::{HostName, ServiceName};

use crate::batches::batches;
use crate::effect::Effect;

/// What is planned for one service, or by one playbook without a service.
pub(crate) struct Section<'a> {
    /// The service's name, or the playbook's.
    pub(crate) rollout: &'a str,
    /// The service; `None` for a playbook without one.
    pub(crate) service: Option<&'a ServiceName>,
    /// Its stages, in order.
    pub(crate) stages: Vec<Stage<'a>>,
}

/// One or several batches in a row that do the same on different hosts.
pub(crate) struct Stage<'a> {
    /// The number of its first batch within the section, counted from 1.
    pub(crate) first: usize,
    /// How many batches it is.
    pub(crate) batches: usize,
    /// What is done.
    pub(crate) entries: Vec<Entry<'a>>,
}

/// The same change on one or more hosts.
pub(crate) struct Entry<'a> {
    /// Its nodes, batch by batch. No batch is empty.
    pub(crate) nodes: Vec<Vec<&'a Node>>,
}

impl<'a> Entry<'a> {
    /// One node that stands for all.
    pub(crate) fn node(&self) -> &'a Node {
        self.nodes[0][0]
    }

    /// All hosts, in order.
    pub(crate) fn hosts(&self) -> Vec<&'a HostName> {
        self.nodes.iter().flatten().map(|node| &node.host).collect()
    }
}

/// Folds a plan. Services stand in the order of their first nodes.
pub(crate) fn sections(graph: &StepGraph) -> Vec<Section<'_>> {
    let batch_of = batches(graph);
    let mut rollouts: Vec<(&str, Option<&ServiceName>)> = Vec::new();
    for node in graph.nodes() {
        let rollout = rollout_of(node);
        if !rollouts.contains(&rollout) {
            rollouts.push(rollout);
        }
    }
    let section = |(rollout, service)| {
        let mut nodes: Vec<(usize, &Node)> = batch_of.iter().copied().zip(graph.nodes()).collect();
        nodes.retain(|(_, node)| rollout_of(node) == (rollout, service));
        nodes.sort_by_key(|(batch, _)| *batch);
        Section {
            rollout,
            service,
            stages: fold(&nodes),
        }
    };
    rollouts.into_iter().map(section).collect()
}

fn rollout_of(node: &Node) -> (&str, Option<&ServiceName>) {
    let service = node.service.as_ref();
    (service.map_or(node.id.rollout(), ServiceName::as_str), service)
}

fn fold<'a>(nodes: &[(usize, &'a Node)]) -> Vec<Stage<'a>> {
    let mut stages: Vec<Stage<'a>> = Vec::new();
    for (at, batch) in nodes.chunk_by(|a, b| a.0 == b.0).enumerate() {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for (_, node) in batch {
            match entries
                .iter_mut()
                .find(|entry| is_same_change(entry.node(), node))
            {
                Some(entry) => entry.nodes[0].push(node),
                None => entries.push(Entry {
                    nodes: vec![vec![node]],
                }),
            }
        }
        match stages.last_mut().filter(|stage| extends(stage, &entries)) {
            Some(stage) => {
                stage.batches += 1;
                for (known, new) in stage.entries.iter_mut().zip(entries) {
                    known.nodes.extend(new.nodes);
                }
            }
            None => stages.push(Stage {
                first: at + 1,
                batches: 1,
                entries,
            }),
        }
    }
    stages
}

fn extends(stage: &Stage<'_>, entries: &[Entry<'_>]) -> bool {
    stage.entries.len() == entries.len()
        && stage
            .entries
            .iter()
            .zip(entries)
            .all(|(known, new)| is_same_change(known.node(), new.node()))
}

/// Whether two nodes look the same but for their host.
fn is_same_change(a: &Node, b: &Node) -> bool {
    let gates = |node: &Node| -> Vec<(String, u64)> {
        let gates = node.gates.iter();
        gates
            .map(|gate| (without_host(&gate.title, &node.host), gate.limit_ms))
            .collect()
    };
    a.title == b.title
        && a.reason == b.reason
        && Effect::of(a) == Effect::of(b)
        && a.disrupts == b.disrupts
        && a.preview == b.preview
        && gates(a) == gates(b)
}

/// A sentence about a host, said of any host: `db2 is running` becomes `it is running`.
pub(crate) fn without_host(text: &str, host: &HostName) -> String {
    let is_host = |word: &str| word == host.as_str();
    let words: Vec<&str> = text
        .split(' ')
        .map(|word| if is_host(word) { "it" } else { word })
        .collect();
    words.join(" ")
}
