//! Compares two plans: one that was saved or approved, and the one that was made just now.
//!
//! What is run is always the plan that was made now; the earlier one serves to tell whether it is what an operator said
//! yes to. Plans are compared as structures, never by how they print, so a field that is added counts from then on. A
//! pure function, so that each way for a plan to grow old is a case that a test can write down.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{FileState, Operation};
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::moving;
use crate::{Basis, Budget, Node, Refusal, StepGraph, Unplanned};

/// How the plan that was made now compares with an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// The very same plan was made again.
    Same,
    /// Nothing of the earlier plan is left to do.
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
    /// Other members of a quorum group are unavailable, or more or others may be.
    Budget {
        /// The group.
        group: GroupId,
        /// What it was.
        was: Budget,
        /// What it is.
        now: Budget,
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
    /// Something is not refused any more.
    NotRefused(Refusal),
    /// Something cannot be planned by now.
    Unplanned(Unplanned),
    /// Something can be planned by now.
    Planned(Unplanned),
    /// The plans differ, and in nothing of the above: in the order of what they list, for example.
    Structure,
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
    /// How the step is called.
    Title,
    /// What is shown of the change.
    Preview,
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

/// Compares an earlier plan with the one that was made now.
///
/// The two are the same where they are equal as structures, with these exceptions, which are words about what was
/// observed and hold figures that move: the reasons of steps, the notes, and why something is refused or cannot be
/// planned. A value that moves by itself ([`Basis::moves`]) may differ where [`moving`] allows it.
pub fn compare(earlier: &StepGraph, now: &StepGraph) -> Comparison {
    let was = comparable(earlier.clone());
    let is = comparable(moving::align(now.clone(), earlier));
    if was == is {
        return Comparison::Same;
    }
    let mut found = news(&was.refusals, &is.refusals, &now.refusals, Difference::Refused);
    found.extend(news(
        &was.unplanned,
        &is.unplanned,
        &now.unplanned,
        Difference::Unplanned,
    ));
    if found.is_empty() && now.nodes().is_empty() && !earlier.nodes().is_empty() {
        return Comparison::Done;
    }
    found.extend(news(
        &is.refusals,
        &was.refusals,
        &earlier.refusals,
        Difference::NotRefused,
    ));
    found.extend(news(
        &is.unplanned,
        &was.unplanned,
        &earlier.unplanned,
        Difference::Planned,
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
    }
    for left in &mut graph.unplanned {
        left.why.clear();
    }
    graph.map_nodes(|node| node.reason.clear())
}

/// What the second list has and the first has not, in the words of a third that goes with the second.
fn news<T: Clone + PartialEq>(
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

/// What the services rest on. Where a service has no part any more, its steps are gone.
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
    let fixed = bases.iter().filter(|basis| !basis.moves);
    fixed
        .map(|basis| (basis.what.as_str(), basis.value.as_str()))
        .collect()
}

fn budgets(was: &StepGraph, is: &StepGraph) -> Vec<Difference> {
    let mut found = Vec::new();
    for (group, was) in was.budgets() {
        // Where the group needs no budget any more, its steps are gone.
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
            None => found.extend(is_gone(node, was, is).then(|| Difference::Gone(step(node)))),
            Some(other) => found.extend(other_form(node, other, same_steps, &step)),
        }
    }
    let new = is.nodes().iter().filter(|node| !before.contains_key(&node.id));
    found.extend(new.map(|node| Difference::New(step(node))));
    found
}

fn by_id(graph: &StepGraph) -> BTreeMap<&NodeId, &Node> {
    graph.nodes().iter().map(|node| (&node.id, node)).collect()
}

/// Whether a step that is missing now is to be told of: one that is refused or cannot be planned any more is told by that.
fn is_gone(node: &Node, was: &StepGraph, is: &StepGraph) -> bool {
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

/// What is different about a step that both plans have. Where other steps came or went, the order is theirs to tell.
fn other_form(was: &Node, is: &Node, same_steps: bool, step: &impl Fn(&Node) -> Step) -> Option<Difference> {
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
        (Aspect::Guard, was.before != is.before),
        (Aspect::Gates, was.gates != is.gates),
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
    Some(another_file(was, is).unwrap_or_else(|| Difference::Other {
        step: step(is),
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

#[cfg(test)]
mod tests;
