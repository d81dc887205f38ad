//! Compares two plans: one that was saved or approved, and a new one.
//!
//! The new plan is always the one that is executed; the earlier one tells whether the operator approved it. Plans are
//! compared as structures, never by how they print, so a field that is added counts from then on.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Operation;
use types::{HostName, NodeId, ServiceName};

use crate::difference::{Aspect, Difference, Step};
use crate::{Basis, Node, StepGraph, volatile};

/// How a new plan compares with an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// No changes of the earlier plan remain.
    Done,
    /// Something changed since.
    Changed(Vec<Difference>),
}

/// Compares an earlier plan with a new one.
///
/// The two are the same where they are equal as structures, with two exceptions:
///
/// - Words about what was observed, which have figures that change: the reasons of steps, the notes, and why something is
///   refused or cannot be planned, and whether that may pass by itself.
/// - Volatile values ([`Basis::is_volatile`]), where [`volatile`] allows it.
pub fn compare(earlier: &StepGraph, now: &StepGraph) -> Comparison {
    let was = comparable(earlier.clone());
    let is = comparable(volatile::align(now.clone(), earlier));
    if was == is {
        return Comparison::Same;
    }
    let mut found = added(&was.refusals, &is.refusals, &now.refusals, Difference::Refused);
    found.extend(added(
        &was.unplanned,
        &is.unplanned,
        &now.unplanned,
        Difference::Unplanned,
    ));
    if found.is_empty() && now.nodes().is_empty() && !earlier.nodes().is_empty() {
        return Comparison::Done;
    }
    found.extend(added(
        &is.refusals,
        &was.refusals,
        &earlier.refusals,
        Difference::NoLongerRefused,
    ));
    found.extend(added(
        &is.unplanned,
        &was.unplanned,
        &earlier.unplanned,
        Difference::NoLongerUnplanned,
    ));
    found.extend(bases(&was, &is));
    found.extend(budgets(&was, &is));
    found.extend(nodes((&was, earlier), (&is, now)));
    if found.is_empty() {
        found.push(Difference::Structure);
    }
    Comparison::Changed(found)
}

/// A plan without what does not count.
fn comparable(mut graph: StepGraph) -> StepGraph {
    graph.notes.clear();
    for refusal in &mut graph.refusals {
        refusal.why.clear();
        refusal.passing = false;
    }
    for left in &mut graph.unplanned {
        left.why.clear();
        left.passing = false;
    }
    graph.map_nodes(|node| node.reason.clear())
}

/// What the second list has and the first has not, in the words of a third, which is parallel to the second.
fn added<T: Clone + PartialEq>(
    was: &[T],
    is: &[T],
    words: &[T],
    difference: fn(T) -> Difference,
) -> Vec<Difference> {
    let all = is.iter().zip(words);
    all.filter(|(one, _)| !was.contains(one))
        .map(|(_, words)| difference(words.clone()))
        .collect()
}

/// The bases that differ. Where a service has no part any more, its steps are reported instead.
fn bases(was: &StepGraph, is: &StepGraph) -> Vec<Difference> {
    let mut found = Vec::new();
    for (service, was) in &was.basis {
        let Some(is) = is.basis.get(service) else {
            continue;
        };
        let (was, is) = (fixed(was), fixed(is));
        let all: BTreeSet<&&str> = was.keys().chain(is.keys()).collect();
        for what in all {
            let (was, now) = (was.get(*what), is.get(*what));
            if was != now {
                found.push(Difference::Basis {
                    service: service.clone(),
                    what: (*what).to_owned(),
                    was: was.map(|was| (*was).to_owned()),
                    now: now.map(|now| (*now).to_owned()),
                });
            }
        }
    }
    found
}

fn fixed(bases: &[Basis]) -> BTreeMap<&str, &str> {
    let fixed = bases.iter().filter(|basis| !basis.is_volatile);
    fixed
        .map(|basis| (basis.what.as_str(), basis.value.as_str()))
        .collect()
}

fn budgets(was: &StepGraph, is: &StepGraph) -> Vec<Difference> {
    let mut found = Vec::new();
    for (group, was) in was.budgets() {
        // Where the group needs no budget any more, its steps are reported instead.
        let Some(is) = is.budgets().get(group) else {
            continue;
        };
        if was != is {
            found.push(Difference::Budget {
                group: group.clone(),
                was: was.clone(),
                now: is.clone(),
            });
        }
    }
    found
}

/// The steps that differ, of two plans as they are compared and with their words.
fn nodes((was, earlier): (&StepGraph, &StepGraph), (is, now): (&StepGraph, &StepGraph)) -> Vec<Difference> {
    let (before, after) = (by_id(was), by_id(is));
    let same_steps = before.keys().eq(after.keys());
    let mut words = by_id(earlier);
    words.extend(by_id(now));
    let step = |node: &Node| Step::from(*words.get(&node.id).unwrap_or(&node));
    let mut found = Vec::new();
    for node in was.nodes() {
        match after.get(&node.id) {
            None => found.extend(is_removed(node, was, is).then(|| Difference::Removed(step(node)))),
            Some(other) => found.extend(modified(node, other, same_steps, &step)),
        }
    }
    let new = is.nodes().iter().filter(|node| !before.contains_key(&node.id));
    found.extend(new.map(|node| Difference::Added(step(node))));
    found
}

fn by_id(graph: &StepGraph) -> BTreeMap<&NodeId, &Node> {
    graph.nodes().iter().map(|node| (&node.id, node)).collect()
}

/// Whether a step that is missing now is reported: not where a new refusal or an unreachable host explains it.
fn is_removed(node: &Node, was: &StepGraph, is: &StepGraph) -> bool {
    let is_here = |service: &Option<ServiceName>, host: Option<&HostName>| {
        *service == node.service && host.is_none_or(|host| *host == node.host)
    };
    let is_refused = is
        .refusals
        .iter()
        .any(|refusal| is_here(&refusal.service, refusal.host.as_ref()) && !was.refusals.contains(refusal));
    let is_unplanned = is
        .unplanned
        .iter()
        .any(|left| is_here(&left.service, Some(&left.host)) && !was.unplanned.contains(left));
    !is_refused && !is_unplanned
}

/// What is different about a step that both plans have. Where steps were added or removed, the order follows from them.
fn modified(was: &Node, is: &Node, same_steps: bool, step: &impl Fn(&Node) -> Step) -> Option<Difference> {
    let does = |node: &Node| {
        let action = node.action.clone();
        (
            node.service.clone(),
            node.host.clone(),
            action.map(|action| (action.operation, action.limit_ms)),
        )
    };
    let relies = |node: &Node| node.action.clone().map(|action| action.only_if);
    let aspects: Vec<Aspect> = [
        (Aspect::Action, does(was) != does(is)),
        (Aspect::Precondition, relies(was) != relies(is)),
        (Aspect::GatesBefore, was.before != is.before),
        (Aspect::GatesAfter, was.gates != is.gates),
        (Aspect::Disruption, was.disrupts != is.disrupts),
        (Aspect::Order, same_steps && was.needs != is.needs),
        (Aspect::Title, was.title != is.title),
        (Aspect::Preview, was.preview != is.preview),
    ]
    .into_iter()
    .filter_map(|(aspect, differs)| differs.then_some(aspect))
    .collect();
    if aspects.is_empty() {
        return None;
    }
    // Another file explains another text.
    Some(changed_file(was, is).unwrap_or_else(|| Difference::Modified {
        step: step(is),
        aspects,
    }))
}

fn changed_file(was: &Node, is: &Node) -> Option<Difference> {
    let file = |node: &Node| match &node.action.as_ref()?.operation {
        Operation::WriteFile { path, was, .. } => Some((path.clone(), was.clone())),
        _ => None,
    };
    let ((path, was), (now_path, now)) = (file(was)?, file(is)?);
    (path == now_path && was != now).then(|| Difference::File {
        host: is.host.clone(),
        path,
        was,
        now,
    })
}

#[cfg(test)]
mod tests;
