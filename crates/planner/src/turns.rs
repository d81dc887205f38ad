//! Whose turn it is: a member's file is written right before the change that puts it into force, so that a bad file costs one
//! member.
//!
//! Kinds plan in the order of their playbooks: the files of all hosts, then one member after another. Written at once, a
//! file with which no process starts would stand on every host by the time the first restart shows it, and the next reboot
//! would be an outage. So the file of a member is held back, unless its process is down and the plan starts it:
//!
//! - It is written in the member's turn: before its restart, or before whatever else of a serial step puts the file into
//!   force ([`Task::applies`]).
//! - Where nothing of that member's does, it is written after the first member that takes such a file has proven it.
//! - Where no member's does, one host gets it first, then the others.
//! - Where a later step of that member is refused or could not be planned, and no member puts such a file into force, it is
//!   not written at all: it would come to stand on all hosts without a proof.
//! - A member that has the file already and does not run with it yet, because a run was cut off, comes first.
//!
//! The next turn begins once the gates of the one before have passed. Where a change fails for certain, the files of its turn
//! are put back ([`Rollback`]).

use std::collections::{BTreeMap, BTreeSet};

use kit::Task;
use plan::Rollback;
use protocol::{Operation, UnitVerb};
use types::{HostName, NodeId};

/// A task on its way to a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) id: NodeId,
    /// The step in which it runs, by position.
    pub(crate) step: usize,
    pub(crate) task: Task,
    /// Of a file: the node that proves it first.
    pub(crate) proof: Option<NodeId>,
    /// Of a file at the beginning of a turn: whether a disruption comes next.
    pub(crate) opens: Option<bool>,
    /// The nodes that change the files which it puts into force, in its turn.
    pub(crate) files: Vec<NodeId>,
}

impl Placed {
    pub(crate) fn new(id: NodeId, step: usize, task: Task) -> Self {
        Self {
            id,
            step,
            task,
            proof: None,
            opens: None,
            files: Vec::new(),
        }
    }

    /// The file that it writes.
    fn writes(&self) -> Option<&str> {
        match &self.task.action.as_ref()?.operation {
            Operation::WriteFile { path, .. } => Some(path),
            _ => None,
        }
    }

    /// What puts the host back where it fails.
    pub(crate) fn rollback(&self) -> Option<Rollback> {
        if self.files.is_empty() {
            return None;
        }
        let operation = self.task.action.as_ref().map(|action| &action.operation);
        let restart = operation
            .and_then(|operation| operation.started_unit())
            .map(|unit| Operation::Unit {
                name: unit.to_owned(),
                verbs: vec![UnitVerb::ResetFailed, UnitVerb::Restart],
                reads: operation
                    .map(|operation| operation.reads().to_vec())
                    .unwrap_or_default(),
            });
        Some(Rollback {
            files: self.files.clone(),
            gates: restart
                .as_ref()
                .map(|_| self.task.gates.clone())
                .unwrap_or_default(),
            action: restart.map(|operation| kit::action(operation, kit::UNIT)),
        })
    }
}

/// Puts every file to its place, and leaves the order of all else. `is_serial` says so of a step.
pub(crate) fn arrange(all: Vec<Placed>, is_serial: impl Fn(usize) -> bool) -> Vec<Placed> {
    let mut all = unproven_first(all, &is_serial);
    let takers = |path: &str| takers(&all, path, &is_serial);
    let mut moves: BTreeMap<usize, Move> = BTreeMap::new();
    let mut proofs: Vec<(usize, usize)> = Vec::new();
    let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut turns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, path) in held(&all) {
        let takers = takers(path);
        let later = takers.iter().copied().filter(|taker| *taker > at);
        let own = later
            .clone()
            .find(|taker| all[*taker].task.host == all[at].task.host);
        let first = later.min();
        let before = *firsts.entry(path).or_insert(at);
        match (own, first) {
            (Some(own), Some(first)) => {
                turns.entry(own).or_default().push(at);
                if all[own].step != all[at].step {
                    moves.insert(at, Move::Before(begin(&all, own)));
                }
                proofs.extend((own != first).then_some((at, first)));
            }
            (None, Some(first)) => {
                moves.insert(at, Move::After(first));
                proofs.push((at, first));
            }
            _ => proofs.extend((before != at).then_some((at, before))),
        }
    }
    let proofs: Vec<(usize, NodeId)> = proofs
        .into_iter()
        .map(|(at, proof)| (at, all[proof].id.clone()))
        .collect();
    let files: Vec<(usize, Vec<NodeId>)> = turns
        .iter()
        .map(|(taker, files)| (*taker, changed(&all, *taker, files)))
        .collect();
    let opens: Vec<(usize, bool)> = moves
        .iter()
        .filter_map(|(at, to)| match to {
            Move::Before(next) => Some((*at, all[*next].task.disrupts)),
            Move::After(_) => None,
        })
        .collect();
    for (at, proof) in proofs {
        all[at].proof = Some(proof);
    }
    for (taker, files) in files {
        all[taker].files = files;
    }
    for (at, disrupts) in opens {
        all[at].opens = Some(disrupts);
    }
    moved(all, &moves)
}

/// Takes the files out that nothing of the plan would prove, on hosts of which a later step `is_stopped`.
pub(crate) fn remove_unproven(
    all: &mut Vec<Placed>,
    is_serial: impl Fn(usize) -> bool,
    is_stopped: impl Fn(usize, &HostName) -> bool,
) -> Vec<Placed> {
    let unproven: Vec<NodeId> = held(all)
        .into_iter()
        .filter(|(at, path)| {
            let Placed { step, task, .. } = &all[*at];
            is_stopped(*step, &task.host) && takers(all, path, &is_serial).is_empty()
        })
        .map(|(at, _)| all[at].id.clone())
        .collect();
    all.extract_if(.., |placed| unproven.contains(&placed.id))
        .collect()
}

/// Moves the turns of members that have a file already to the front, where others are to get it.
fn unproven_first(mut all: Vec<Placed>, is_serial: impl Fn(usize) -> bool) -> Vec<Placed> {
    let files: Vec<(HostName, String)> = all
        .iter()
        .filter_map(|placed| Some((placed.task.host.clone(), placed.writes()?.to_owned())))
        .collect();
    let paths: BTreeSet<&String> = files.iter().map(|(_, path)| path).collect();
    for path in paths {
        let gets = |placed: &Placed| {
            files
                .iter()
                .any(|(host, written)| *host == placed.task.host && written == path)
        };
        let takers = takers(&all, path, &is_serial);
        let Some(first) = takers.iter().copied().find(|at| gets(&all[*at])) else {
            continue;
        };
        let mut to = begin(&all, first);
        for taker in takers.into_iter().filter(|at| *at > first) {
            if all[taker].task.disrupts && !gets(&all[taker]) && all[taker].step == all[first].step {
                let from = begin(&all, taker);
                if is_movable(&all, to, from) {
                    all[to..=taker].rotate_right(taker + 1 - from);
                    to += taker + 1 - from;
                }
            }
        }
    }
    all
}

/// Whether a turn may come before another: neither these two nor those in between need what is done on other hosts first, as the
/// canaries of a mirror's restart are written on all of them.
fn is_movable(all: &[Placed], to: usize, from: usize) -> bool {
    let of_turn = |at: usize| all[at..].iter().find(|placed| placed.task.disrupts);
    let is_own = |at: usize| of_turn(at).is_some_and(|taker| taker.task.host == all[at].task.host);
    let begins = |at: usize| {
        let before = at.checked_sub(1).map(|before| &all[before]);
        before.is_none_or(|before| before.step != all[at].step || before.task.disrupts)
    };
    begins(to) && begins(from) && (to..from).all(is_own)
}

/// Where a file goes: by the position of another task.
#[derive(Debug, Clone, Copy)]
enum Move {
    Before(usize),
    After(usize),
}

/// The files that members get whose processes may run, with their places: all but those that a process is started with anyway,
/// for of a member that is down, or is none yet, nothing is lost. Whether it serves does not count: one that cannot be asked
/// may.
fn held<'a>(all: &'a [Placed]) -> Vec<(usize, &'a str)> {
    let starts = |host: &HostName, path: &str| {
        all.iter().any(|Placed { task, .. }| {
            let action = task.action.as_ref();
            let operation = action.map(|action| &action.operation);
            let is_start = operation.is_some_and(|operation| operation.started_unit().is_some());
            task.host == *host && !task.disrupts && is_start && task.applies(path)
        })
    };
    let file = |placed: &'a Placed| {
        let path = placed.writes()?;
        (!starts(&placed.task.host, path)).then_some(path)
    };
    let all = all.iter().enumerate();
    all.filter_map(|(at, placed)| Some((at, file(placed)?))).collect()
}

/// The tasks of serial steps that put a file into force: those that disrupt, where there are any, for what an engine takes
/// while it runs comes before them.
fn takers(all: &[Placed], path: &str, is_serial: impl Fn(usize) -> bool) -> Vec<usize> {
    let is_taker = |Placed { step, task, .. }: &Placed| {
        let takes = task.takes.iter().any(|taken| taken == path);
        is_serial(*step) && (takes || task.disrupts && task.applies(path))
    };
    let takers: Vec<usize> = (0..all.len()).filter(|at| is_taker(&all[*at])).collect();
    let disrupting: Vec<usize> = takers
        .iter()
        .copied()
        .filter(|at| all[*at].task.disrupts)
        .collect();
    if disrupting.is_empty() { takers } else { disrupting }
}

/// Where the turn of a task begins: at the first one on its host, of its step, since the disruption before.
fn begin(all: &[Placed], taker: usize) -> usize {
    let (host, step) = (&all[taker].task.host, all[taker].step);
    let since = (0..taker)
        .rev()
        .take_while(|at| all[*at].step == step && !all[*at].task.disrupts);
    let on_host = since.filter(|at| all[*at].task.host == *host);
    on_host.last().unwrap_or(taker)
}

/// The nodes that change what a task puts into force: the files of its turn, and what is written to them again before it.
fn changed(all: &[Placed], taker: usize, files: &[usize]) -> Vec<NodeId> {
    let (host, step) = (&all[taker].task.host, all[taker].step);
    let paths: Vec<&str> = files
        .iter()
        .filter_map(|at| Some(all[*at].task.action.as_ref()?.operation.file()?.0))
        .collect();
    let again = (0..taker).filter(|at| {
        let placed = &all[*at];
        let operation = placed.task.action.as_ref().map(|action| &action.operation);
        let writes = operation.is_some_and(|operation| paths.iter().any(|path| operation.writes(path)));
        placed.step == step && placed.task.host == *host && !files.contains(at) && writes
    });
    files
        .iter()
        .copied()
        .chain(again)
        .map(|at| all[at].id.clone())
        .collect()
}

/// Makes the moves.
fn moved(all: Vec<Placed>, moves: &BTreeMap<usize, Move>) -> Vec<Placed> {
    let steps: Vec<usize> = all.iter().map(|placed| placed.step).collect();
    let mut before: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
    let mut after: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
    let mut rest = Vec::new();
    for (at, mut placed) in all.into_iter().enumerate() {
        let (to, place) = match moves.get(&at) {
            Some(Move::Before(to)) => (&mut before, *to),
            Some(Move::After(to)) => (&mut after, *to),
            None => {
                rest.push((at, placed));
                continue;
            }
        };
        placed.step = steps[place];
        to.entry(place).or_default().push(placed);
    }
    let mut arranged = Vec::new();
    for (at, placed) in rest {
        arranged.extend(before.remove(&at).unwrap_or_default());
        arranged.push(placed);
        arranged.extend(after.remove(&at).unwrap_or_default());
    }
    arranged
}

#[cfg(test)]
mod tests;
