//! The plan in figures, and the one line that says them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use plan::{Level, StepGraph};
use serde::Serialize;

use crate::batches::batches;
use crate::effect::{Effect, restarts};
use crate::text::{count, listed};

/// A plan in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Nodes that do something.
    pub changes: usize,
    /// Hosts on which something is done.
    pub hosts: usize,
    /// Nodes that restart or stop something, or make a member unavailable.
    pub disruptions: usize,
    /// In how many batches those go, one after another.
    pub disruption_batches: usize,
    /// Nodes that only wait.
    pub waits: usize,
    /// Warnings.
    pub warnings: usize,
    /// Refusals.
    pub refusals: usize,
    /// What could not be planned.
    pub unplanned: usize,
}

/// Counts.
pub fn summary(graph: &StepGraph) -> Summary {
    let nodes = graph.nodes();
    let acting = || nodes.iter().filter(|node| node.action.is_some());
    let hosts: BTreeSet<_> = acting().map(|node| &node.host).collect();
    let batches = batches(graph);
    let disruptions = || {
        batches
            .iter()
            .zip(nodes)
            .filter(|(_, node)| Effect::of(node) == Effect::Disrupt)
    };
    let disruption_batches: BTreeSet<_> = disruptions().map(|(batch, _)| batch).collect();
    Summary {
        changes: acting().count(),
        hosts: hosts.len(),
        disruptions: disruptions().count(),
        disruption_batches: disruption_batches.len(),
        waits: nodes.len() - acting().count(),
        warnings: graph
            .notes
            .iter()
            .filter(|note| note.level == Level::Warning)
            .count(),
        refusals: graph.refusals.len(),
        unplanned: graph.unplanned.len(),
    }
}

/// The line that ends a plan: `Plan: 7 changes on 3 hosts (2 restarts in 2 batches), 1 warning, 1 refusal.`
pub fn line(graph: &StepGraph, services: usize, hosts: usize) -> String {
    let figures = summary(graph);
    let cluster = format!("{}, {}", count(services, "service"), count(hosts, "host"));
    let warnings = match figures.warnings {
        0 => String::new(),
        warnings => format!(" {}.", count(warnings, "warning")),
    };
    if graph.is_converged() {
        let except = if graph.paused.is_empty() {
            ""
        } else {
            ", except for what is paused"
        };
        return format!("No changes. The cluster matches the inventory{except} ({cluster}).{warnings}");
    }
    let blocked = blocked(&figures);
    if graph.nodes().is_empty() {
        return format!(
            "No changes, but the cluster does not match the inventory: {} ({cluster}).{warnings}",
            listed(&blocked)
        );
    }
    let mut parts = vec![changes(graph, &figures)];
    if figures.warnings > 0 {
        parts.push(count(figures.warnings, "warning"));
    }
    parts.extend(blocked);
    format!("Plan: {}.", parts.join(", "))
}

fn blocked(figures: &Summary) -> Vec<String> {
    let mut parts = Vec::new();
    if figures.refusals > 0 {
        parts.push(count(figures.refusals, "refusal"));
    }
    if figures.unplanned > 0 {
        parts.push(format!("{} not planned", count(figures.unplanned, "step")));
    }
    parts
}

fn changes(graph: &StepGraph, figures: &Summary) -> String {
    let mut text = match figures.changes {
        0 => format!("no changes, {} to wait for", count(figures.waits, "condition")),
        changes => format!("{} on {}", count(changes, "change"), count(figures.hosts, "host")),
    };
    if figures.disruptions > 0 {
        let disruptive = |node: &&plan::Node| Effect::of(node) == Effect::Disrupt;
        let noun = if graph.nodes().iter().filter(disruptive).all(restarts) {
            "restart"
        } else {
            "disruption"
        };
        let _ = write!(
            text,
            " ({} in {})",
            count(figures.disruptions, noun),
            count(figures.disruption_batches, "batch")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{budget, graph, node, restart, rolling_change};

    #[test]
    fn a_plan_is_summed_up_in_one_line() {
        assert_eq!(
            line(&rolling_change(), 3, 5),
            "Plan: 8 changes on 4 hosts (3 restarts in 3 batches), 1 warning, 1 refusal, 2 steps not planned."
        );
        let mut one = node("a", "db1", &[]);
        assert_eq!(
            line(&graph(vec![one.clone()], &[]), 1, 1),
            "Plan: 1 change on 1 host."
        );
        one.action = None;
        assert_eq!(
            line(&graph(vec![one], &[]), 1, 1),
            "Plan: no changes, 1 condition to wait for."
        );
    }

    #[test]
    fn a_disruption_without_a_restart_is_called_a_disruption() {
        let mut join = restart("mq", "db2", &[]);
        join.action = node("a", "db2", &[]).action;
        let nodes = vec![restart("mq", "db1", &[]), join];
        assert_eq!(
            line(&graph(nodes, &[("mq", budget(2, &[]))]), 1, 3),
            "Plan: 2 changes on 2 hosts (2 disruptions in 1 batch)."
        );
    }

    #[test]
    fn no_change_is_good_news_only_where_nothing_was_refused() {
        let mut graph = StepGraph::default();
        assert_eq!(
            line(&graph, 2, 5),
            "No changes. The cluster matches the inventory (2 services, 5 hosts)."
        );
        graph.refusals = rolling_change().refusals;
        assert_eq!(
            line(&graph, 2, 5),
            "No changes, but the cluster does not match the inventory: 1 refusal (2 services, 5 hosts)."
        );
    }
}
