//! Which nodes may run at the same time, for the plan to show.
//!
//! The executor starts each node as soon as it may; it knows no batches. But a reader wants to know what goes
//! together and what goes one after another, so the run is played through here with every node taking equally
//! long. The order is right: a node is in a later batch than all it needs, and no batch makes
//! more members unavailable than their budget allows.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Node, StepGraph};
use types::{GroupId, HostName, NodeId};

/// The members of each group that are unavailable at some moment.
type Unavailable<'a> = BTreeMap<&'a GroupId, BTreeSet<&'a HostName>>;

/// The batch of each node, counted from 0, in the order of [`StepGraph::nodes`].
pub fn batches(graph: &StepGraph) -> Vec<usize> {
    let nodes = graph.nodes();
    let budgets = graph.budgets().iter();
    let mut unavailable: Unavailable<'_> = budgets
        .map(|(group, budget)| (group, budget.unavailable.iter().collect()))
        .collect();
    let mut batch_of: BTreeMap<&NodeId, usize> = BTreeMap::new();
    let mut waiting: Vec<&Node> = nodes.iter().collect();
    for batch in 0.. {
        if waiting.is_empty() {
            break;
        }
        let (ready, later): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|node| node.needs.iter().all(|needs| batch_of.contains_key(needs)));
        let (mut going, held_back) = admit(graph, ready, &unavailable);
        waiting = held_back;
        if going.is_empty() && !waiting.is_empty() {
            // Members that were lost before the run use the budget up, and nothing in the plan brings them back.
            // The executor will say so; here the rest is shown in the order in which it would go.
            going.push(waiting.remove(0));
        }
        waiting.extend(later);
        for node in going {
            batch_of.insert(&node.id, batch);
            // Its gates have passed: whatever its member was before, it is available now.
            let proved = node.service.iter().filter(|_| !node.gates.is_empty());
            let proved = proved.map(GroupId::from);
            for group in node.disrupts.iter().cloned().chain(proved) {
                if let Some(members) = unavailable.get_mut(&group) {
                    members.remove(&node.host);
                }
            }
        }
    }
    nodes
        .iter()
        .map(|node| batch_of.get(&node.id).copied().unwrap_or_default())
        .collect()
}

/// Parts ready nodes into those that the budgets let go together, and those that must wait.
fn admit<'a>(
    graph: &StepGraph,
    ready: Vec<&'a Node>,
    unavailable: &Unavailable<'a>,
) -> (Vec<&'a Node>, Vec<&'a Node>) {
    let mut taken = unavailable.clone();
    ready.into_iter().partition(|node| {
        let fits = node.disrupts.iter().all(|group| {
            let members = taken.get(group);
            let limit = graph
                .budgets()
                .get(group)
                .map_or(0, |budget| budget.max_unavailable);
            members.is_some_and(|members| members.contains(&node.host) || members.len() < limit)
        });
        if fits {
            for group in &node.disrupts {
                taken.entry(group).or_default().insert(&node.host);
            }
        }
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{budget, graph, node, restart};

    #[test]
    fn what_needs_nothing_goes_together_and_what_needs_it_goes_after() {
        let nodes = vec![
            node("a", "db1", &[]),
            node("b", "db2", &[]),
            node("c", "db1", &["a"]),
            node("d", "db1", &["c", "b"]),
        ];
        assert_eq!(batches(&graph(nodes, &[])), [0, 0, 1, 2]);
    }

    #[test]
    fn a_budget_lets_as_many_go_as_it_allows() {
        let nodes = || {
            ["db1", "db2", "db3"]
                .map(|host| restart("mq", host, &[]))
                .to_vec()
        };
        assert_eq!(batches(&graph(nodes(), &[("mq", budget(1, &[]))])), [0, 1, 2]);
        assert_eq!(batches(&graph(nodes(), &[("mq", budget(2, &[]))])), [0, 0, 1]);
    }

    #[test]
    fn a_member_that_is_unavailable_already_takes_from_the_budget_until_it_is_back() {
        let nodes = || {
            ["db1", "db2", "db3"]
                .map(|host| restart("mq", host, &[]))
                .to_vec()
        };
        // db3 goes first: it is down anyway. Then the others, one by one.
        assert_eq!(
            batches(&graph(nodes(), &[("mq", budget(1, &["db3"]))])),
            [1, 2, 0]
        );
        // Nothing brings db4 back: the order is shown all the same.
        assert_eq!(
            batches(&graph(nodes(), &[("mq", budget(1, &["db4"]))])),
            [0, 1, 2]
        );
    }

    #[test]
    fn a_host_in_two_groups_takes_from_both() {
        let mut both = restart("mq", "db2", &[]);
        both.disrupts.insert("redis".parse().unwrap());
        let nodes = vec![restart("mq", "db1", &[]), both, restart("redis", "db3", &[])];
        let budgets = [("mq", budget(1, &[])), ("redis", budget(1, &[]))];
        assert_eq!(batches(&graph(nodes, &budgets)), [0, 1, 0]);
    }
}
