//! Assembling the plan: the rollouts in the order of the site's stages, their budgets, and what there is to say.
//!
//! Rollouts of one stage know nothing of each other and run side by side; those of later stages come after them.

use std::collections::{BTreeMap, BTreeSet};

use kit::Service;
use plan::{GraphError, Node, SkippedSteps, StepGraph, Unplanned};
use types::{GroupId, HostName};

use crate::bind::Bound;
use crate::budget;
use crate::chain::Chain;
use crate::request::PlanCx;
use crate::stages::{Rollout, Stages};

/// Plans the rollouts one after another, and ties their nodes to one graph.
pub(crate) fn plan(
    cx: &PlanCx<'_>,
    rollouts: &[&Bound],
    services: &[Box<dyn Service>],
) -> Result<StepGraph, GraphError> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut budgets = BTreeMap::new();
    let mut remarks = StepGraph::default();
    let mut stages = Stages::default();
    for bound in rollouts {
        let service = bound.service.map(|at| &*services[at]);
        if let Some(service) = service.filter(|service| cx.pauses.has_service(*service)) {
            stages.add(Rollout::paused(bound, service, cx.facts), false);
            continue;
        }
        let chain = Chain::plan(cx, bound, service, stages.predecessors(bound, services));
        if let Some(service) = service.filter(|_| !chain.nodes.is_empty()) {
            if chain.nodes.iter().any(|node| !node.disrupts.is_empty()) {
                let budget = budget::of(service, cx);
                budgets.insert(GroupId::from(service.name()), budget);
            }
            remarks
                .basis
                .insert(service.name().clone(), service.basis(cx.facts));
        }
        nodes.extend(chain.nodes);
        remarks.notes.extend(chain.remarks.notes);
        remarks.refusals.extend(chain.remarks.refusals);
        remarks.unplanned.extend(chain.remarks.unplanned);
        stages.add(chain.rollout, bound.per_host);
    }
    report_unreachable_once(&mut remarks.unplanned);
    let mut graph = StepGraph::new(nodes, budgets)?;
    graph.notes = remarks.notes;
    graph.refusals = remarks.refusals;
    graph.unplanned = remarks.unplanned;
    graph.basis = remarks.basis;
    Ok(graph)
}

/// An unreachable host is reported for each service that it belongs to, and for a playbook without a service only where it
/// belongs to none.
fn report_unreachable_once(unplanned: &mut Vec<Unplanned>) {
    let of_services: BTreeSet<HostName> = unplanned
        .iter()
        .filter(|left| left.service.is_some())
        .map(|left| left.host.clone())
        .collect();
    unplanned.retain(|left| {
        left.service.is_some() || left.steps != SkippedSteps::All || !of_services.contains(&left.host)
    });
}
