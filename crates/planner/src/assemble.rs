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
use crate::stages::Stages;

/// Plans the rollouts one after another, and ties their nodes to one graph.
pub(crate) fn plan(
    cx: &PlanCx<'_>,
    rollouts: &[&Bound],
    services: &[Box<dyn Service>],
) -> Result<StepGraph, GraphError> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut budgets = BTreeMap::new();
    let mut said = StepGraph::default();
    let mut stages = Stages::default();
    for bound in rollouts {
        let service = bound.service.map(|at| &*services[at]);
        let chain = Chain::plan(cx, bound, service, stages.before(bound, services));
        if let Some(service) = service.filter(|_| !chain.nodes.is_empty()) {
            if chain.nodes.iter().any(|node| !node.disrupts.is_empty()) {
                let budget = budget::of(service, cx.facts, cx.options.max_unavailable);
                budgets.insert(GroupId::from(service.name()), budget);
            }
            said.basis.insert(service.name().clone(), service.basis(cx.facts));
        }
        nodes.extend(chain.nodes);
        said.notes.extend(chain.said.notes);
        said.refusals.extend(chain.said.refusals);
        said.unplanned.extend(chain.said.unplanned);
        stages.add(chain.rollout, bound.per_host);
    }
    report_unreachable_once(&mut said.unplanned);
    let mut graph = StepGraph::new(nodes, budgets)?;
    graph.notes = said.notes;
    graph.refusals = said.refusals;
    graph.unplanned = said.unplanned;
    graph.basis = said.basis;
    Ok(graph)
}

/// Each service that a host belongs to says that it cannot be reached. A playbook without a service says so only of a
/// host that belongs to none.
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
