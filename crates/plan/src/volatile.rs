//! Volatile values change while nothing else does, such as the number of the last write: where a plan may differ by them.
//!
//! A plan names them in its basis ([`crate::Basis::is_volatile`]). The same plan, made later, has another value; a step with it
//! counts as the same where nothing else about it is different. So that nothing else can hide behind such a value, it may
//! differ in few places only:
//!
//! - at the beginning of a word in an argument of a command for a data server (not in the command's name),
//! - in the check of a gate,
//! - in the commands that are shown.
//!
//! Operations, preconditions, files and titles have no volatile values.

use std::collections::BTreeMap;

use protocol::{Operation, Text};
use types::{NodeId, ServiceName};

use crate::{Basis, Node, Preview, StepGraph};

/// The longest volatile value.
const LONGEST: usize = 64;

/// A value that changed.
struct Move {
    was: String,
    now: String,
}

/// The new plan with its volatile values as they were in the earlier one; unchanged where the steps of the two do not agree
/// with their bases.
pub(crate) fn align(now: StepGraph, earlier: &StepGraph) -> StepGraph {
    let mut aligned = now.clone();
    let mut moves: BTreeMap<ServiceName, Vec<Move>> = BTreeMap::new();
    for (service, bases) in &mut aligned.basis {
        let was = earlier.basis.get(service).map_or(&[][..], Vec::as_slice);
        for (basis, was) in bases.iter_mut().zip(was) {
            if has_moved(basis, was) {
                let now = std::mem::replace(&mut basis.value, was.value.clone());
                let was = was.value.clone();
                moves.entry(service.clone()).or_default().push(Move { was, now });
            }
        }
    }
    let earlier: BTreeMap<&NodeId, &Node> = earlier.nodes().iter().map(|node| (&node.id, node)).collect();
    let mut all_agree = true;
    let aligned = aligned.map_nodes(|node| {
        let moves = node.service.as_ref().and_then(|service| moves.get(service));
        if let (Some(moves), Some(was)) = (moves, earlier.get(&node.id)) {
            all_agree &= align_node(node, was, moves);
        }
    });
    if all_agree { aligned } else { now }
}

/// Whether two entries are about the same thing, which moves, and have values in which nothing can hide.
fn has_moved(now: &Basis, was: &Basis) -> bool {
    let is_plain = |value: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !value.is_empty() && value.len() <= LONGEST && value.chars().all(plain)
    };
    now.what == was.what && now.is_volatile && was.is_volatile && is_plain(&now.value) && is_plain(&was.value)
}

/// Aligns the texts of a step that may have a volatile value. Whether they agree with the changed values.
fn align_node(now: &mut Node, was: &Node, moves: &[Move]) -> bool {
    let mut agree = true;
    let before = now.before.iter_mut().zip(&was.before);
    for (now, was) in before.chain(now.gates.iter_mut().zip(&was.gates)) {
        agree &= align_text(&mut now.check, &was.check, moves);
    }
    if let (Some(Preview::Commands(now)), Some(Preview::Commands(was))) = (&mut now.preview, &was.preview) {
        for (now, was) in now.iter_mut().zip(was) {
            agree &= align_text(now, was, moves);
        }
    }
    if let (Some(now), Some(was)) = (&mut now.action, &was.action)
        && let (Operation::Ssdb { commands: now, .. }, Operation::Ssdb { commands: was, .. }) =
            (&mut now.operation, &was.operation)
    {
        for (now, was) in now.iter_mut().zip(was) {
            for (now, was) in now.args.iter_mut().zip(&was.args).skip(1) {
                let mut text = now.as_str().to_owned();
                agree &= align_text(&mut text, was.as_str(), moves);
                *now = Text::new(text);
            }
        }
    }
    agree
}

/// Takes the earlier text where the two differ in volatile values only. Whether they agree with the changed values: a word
/// with the new value had the earlier one.
fn align_text(now: &mut String, was: &str, moves: &[Move]) -> bool {
    let goes_with = |was: &str, now: &str| -> Option<bool> {
        let values = moves
            .iter()
            .filter_map(|one| Some((&one.was, now.strip_prefix(one.now.as_str())?)));
        values
            .map(|(earlier, rest)| was.strip_prefix(earlier.as_str()) == Some(rest))
            .reduce(|one, other| one || other)
    };
    let pairs: Vec<(&str, &str)> = was.split(' ').zip(now.split(' ')).collect();
    let has_all_words = was.split(' ').count() == now.split(' ').count();
    if has_all_words
        && pairs
            .iter()
            .all(|(was, now)| goes_with(was, now).unwrap_or(was == now))
    {
        was.clone_into(now);
        return true;
    }
    // Where the texts differ in something else, the step is reported.
    was != now
}
