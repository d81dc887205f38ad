//! Whether a plan that was saved still stands: the saved graph beside the one that was planned just now.
//!
//! Words (titles, reasons, previews) may differ; what is done, on what it relies, in which order and what is waited for
//! may not. A pure function, so that each way for a plan to grow old is a case that a test can write down.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{FileState, Operation};
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::{Basis, Gate, Node, Refusal, StepGraph, Unplanned};

/// Whether a saved plan still stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The very same plan was made again.
    Same,
    /// Nothing of it is left to do.
    Done,
    /// Something changed since.
    Changed(Vec<Difference>),
}

/// One thing that changed since a plan was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Something that a service's steps rest on; `None` where it was not known.
    Basis {
        /// The service.
        service: ServiceName,
        /// In words: `the term of the replica set`.
        what: String,
        /// What it was.
        was: Option<String>,
        /// What it is.
        now: Option<String>,
    },
    /// A file that is to be written is another one by now.
    File {
        /// The host that it is on.
        host: HostName,
        /// Its path.
        path: String,
        /// What stood there.
        was: FileState,
        /// What stands there.
        now: FileState,
    },
    /// Other members of a quorum group are unavailable, or others may be.
    Budget {
        /// The group.
        group: GroupId,
        /// Who was unavailable.
        was: BTreeSet<HostName>,
        /// Who is.
        now: BTreeSet<HostName>,
    },
    /// A step is not needed any more.
    Gone(Step),
    /// A step is needed that the plan has not.
    New(Step),
    /// A step is needed in another form.
    Other {
        /// The step.
        step: Step,
        /// What is different about it.
        aspects: Vec<Aspect>,
    },
    /// Something is refused by now.
    Refused(Refusal),
    /// Something cannot be planned by now.
    Unplanned(Unplanned),
}

/// A node, as it is named to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub node: NodeId,
    /// Its host.
    pub host: HostName,
    /// What is done.
    pub title: String,
    /// Why it is needed.
    pub reason: String,
}

/// What can be different about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// What is done.
    Action,
    /// What must still be so when it is done.
    Precondition,
    /// What must be so right before it, beside that.
    Guard,
    /// What is waited for afterwards.
    Gates,
    /// Whom it makes unavailable.
    Disruption,
    /// What must be done before.
    Order,
}

impl From<&Node> for Step {
    fn from(node: &Node) -> Self {
        Self {
            node: node.id.clone(),
            host: node.host.clone(),
            title: node.title.clone(),
            reason: node.reason.clone(),
        }
    }
}

/// Compares a saved plan with the one that comes out now.
pub fn standing(saved: &StepGraph, now: &StepGraph) -> Standing {
    let mut found = news(
        &saved.refusals,
        &now.refusals,
        is_same_refusal,
        Difference::Refused,
    );
    found.extend(news(
        &saved.unplanned,
        &now.unplanned,
        is_same_unplanned,
        Difference::Unplanned,
    ));
    if found.is_empty() && now.nodes().is_empty() {
        let was_empty = saved.nodes().is_empty();
        return if was_empty { Standing::Same } else { Standing::Done };
    }
    found.extend(bases(saved, now));
    found.extend(budgets(saved, now));
    found.extend(nodes(saved, now));
    if found.is_empty() {
        Standing::Same
    } else {
        Standing::Changed(found)
    }
}

fn news<T: Clone>(
    saved: &[T],
    now: &[T],
    is_same: fn(&T, &T) -> bool,
    difference: fn(T) -> Difference,
) -> Vec<Difference> {
    let is_new = |one: &&T| !saved.iter().any(|other| is_same(one, other));
    now.iter().filter(is_new).cloned().map(difference).collect()
}

/// Proofs may have numbers in them; what is refused is the same.
fn is_same_refusal(one: &Refusal, other: &Refusal) -> bool {
    (&one.service, &one.host, &one.what) == (&other.service, &other.host, &other.what)
}

fn is_same_unplanned(one: &Unplanned, other: &Unplanned) -> bool {
    (&one.service, &one.host, &one.step) == (&other.service, &other.host, &other.step)
}

/// What the parts of services rest on. Where a service has no part any more, its steps are gone.
fn bases(saved: &StepGraph, now: &StepGraph) -> Vec<Difference> {
    let mut found = Vec::new();
    for (service, was) in &saved.basis {
        let Some(is) = now.basis.get(service) else {
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
    let fixed = bases.iter().filter(|basis| !basis.moves);
    fixed
        .map(|basis| (basis.what.as_str(), basis.value.as_str()))
        .collect()
}

fn budgets(saved: &StepGraph, now: &StepGraph) -> Vec<Difference> {
    let mut found = Vec::new();
    for (group, was) in saved.budgets() {
        // Where the group needs no budget any more, its steps are gone.
        let Some(is) = now.budgets().get(group) else {
            continue;
        };
        if was != is {
            found.push(Difference::Budget {
                group: group.clone(),
                was: was.unavailable.clone(),
                now: is.unavailable.clone(),
            });
        }
    }
    found
}

fn nodes(saved: &StepGraph, now: &StepGraph) -> Vec<Difference> {
    let (was, is) = (by_id(saved), by_id(now));
    let same_steps = was.keys().eq(is.keys());
    let mut found = Vec::new();
    for node in saved.nodes() {
        match is.get(&node.id) {
            None => found.extend(gone(node, saved, now)),
            Some(other) => found.extend(other_form(node, other, saved, now, same_steps)),
        }
    }
    let new = now.nodes().iter().filter(|node| !was.contains_key(&node.id));
    found.extend(new.map(|node| Difference::New(Step::from(node))));
    found
}

fn by_id(graph: &StepGraph) -> BTreeMap<&NodeId, &Node> {
    graph.nodes().iter().map(|node| (&node.id, node)).collect()
}

/// A step that is refused or cannot be planned any more is told by that.
fn gone(node: &Node, saved: &StepGraph, now: &StepGraph) -> Option<Difference> {
    let is_here = |service: &Option<ServiceName>, host: Option<&HostName>| {
        *service == node.service && host.is_none_or(|host| *host == node.host)
    };
    let is_refused = now.refusals.iter().any(|refusal| {
        is_here(&refusal.service, refusal.host.as_ref())
            && !saved.refusals.iter().any(|old| is_same_refusal(old, refusal))
    });
    let is_unplanned = now.unplanned.iter().any(|left| {
        is_here(&left.service, Some(&left.host))
            && !saved.unplanned.iter().any(|old| is_same_unplanned(old, left))
    });
    (!is_refused && !is_unplanned).then(|| Difference::Gone(Step::from(node)))
}

/// What is different about a step that both plans have. Where other steps came or went, the order is theirs to tell.
fn other_form(
    was: &Node,
    is: &Node,
    saved: &StepGraph,
    now: &StepGraph,
    same_steps: bool,
) -> Option<Difference> {
    let (was_plain, is_plain) = (Plain::of(was, saved), Plain::of(is, now));
    let aspects: Vec<Aspect> = [
        (Aspect::Action, was_plain.action != is_plain.action),
        (Aspect::Precondition, was_plain.only_if != is_plain.only_if),
        (Aspect::Guard, was_plain.before != is_plain.before),
        (Aspect::Gates, was_plain.gates != is_plain.gates),
        (Aspect::Disruption, was.disrupts != is.disrupts),
        (Aspect::Order, same_steps && was.needs != is.needs),
    ]
    .into_iter()
    .filter_map(|(aspect, differs)| differs.then_some(aspect))
    .collect();
    if aspects.is_empty() {
        return None;
    }
    // Another file explains another text.
    Some(another_file(was, is).unwrap_or_else(|| Difference::Other {
        step: Step::from(is),
        aspects,
    }))
}

fn another_file(was: &Node, is: &Node) -> Option<Difference> {
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

/// What counts of a gate: all but its title.
fn checked(gate: &Gate) -> String {
    let Gate {
        service,
        check,
        host,
        title: _,
        watch,
        limit_ms,
    } = gate;
    format!("{service:?} {check:?} {host:?} {watch:?} {limit_ms}\n")
}

/// What counts of a node, with what moves by itself left out.
struct Plain {
    action: String,
    only_if: String,
    before: String,
    gates: String,
}

impl Plain {
    fn of(node: &Node, graph: &StepGraph) -> Self {
        let bases: &[Basis] = node
            .service
            .as_ref()
            .and_then(|service| graph.basis.get(service))
            .map_or(&[], Vec::as_slice);
        let plain = |mut text: String| {
            let moving = bases
                .iter()
                .filter(|basis| basis.moves && !basis.value.is_empty());
            for basis in moving {
                text = text.replace(&basis.value, &format!("<{}>", basis.what));
            }
            text
        };
        let action = node.action.as_ref();
        Self {
            action: plain(format!(
                "{:?} {:?} {:?} {:?}",
                node.service,
                node.host,
                action.map(|action| &action.operation),
                action.map(|action| action.limit_ms)
            )),
            only_if: plain(format!("{:?}", action.map(|action| &action.only_if))),
            before: plain(node.before.iter().map(checked).collect()),
            gates: plain(node.gates.iter().map(checked).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
