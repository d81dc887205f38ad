//! The record of a run's actions on one host: which were begun, and how they ended.
//!
//! An answer can get lost after its action was done. The controller then sends the action again under the same
//! [`ActionId`], and the agent answers from this record instead of doing it a second time. The record is data: the agent
//! keeps it in a file beside the run lock, the fake hosts of tests in memory, and both decide by it alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{NodeId, RunId};

use crate::{Action, ActionError, Change};

/// Names an action within its run, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionId {
    /// The node of the plan whose action it is.
    pub node: NodeId,
    /// Tells it from other actions of that node in the run.
    pub number: u32,
}

/// An action as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Its name in the run that holds the host's lock.
    pub id: ActionId,
    /// Whether it was sent before, and its answer was lost.
    pub is_repeated: bool,
    /// The action.
    pub action: Action,
}

/// The known state of a run's actions on a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    run: RunId,
    /// Whether an earlier record of the same run is gone: the host was restarted, or another run had the lock meanwhile.
    is_incomplete: bool,
    /// `None` while it is not known how the action ended.
    actions: BTreeMap<ActionId, Option<Result<Change, ActionError>>>,
}

impl Record {
    /// The record of a run that takes a host's lock: the one that was `found` if it is the run's own, else a new one.
    ///
    /// `had_lock` says whether the run has had this lock before. Then there was a record, and where it is not found,
    /// actions that were sent before may have been begun.
    pub fn open(found: Option<Self>, run: &RunId, had_lock: bool) -> Self {
        found.filter(|record| record.run == *run).unwrap_or_else(|| Self {
            run: run.clone(),
            is_incomplete: had_lock,
            actions: BTreeMap::new(),
        })
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Whether an earlier record of the same run is gone.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// The answer to a request that needs nothing done; `None` where its action is to be done.
    ///
    /// An action that ended is answered as it was then. One that was begun, and of which it is not known how it ended,
    /// is done again only where a second time changes nothing.
    pub fn answer(&self, request: &ActionRequest) -> Option<Result<Change, ActionError>> {
        let may_have_begun = match self.actions.get(&request.id) {
            Some(Some(ended)) => return Some(ended.clone()),
            Some(None) => true,
            None => request.is_repeated && self.is_incomplete,
        };
        let must_not_be_repeated = may_have_begun && !request.action.operation.is_idempotent();
        must_not_be_repeated.then(|| {
            Err(ActionError::CutOff {
                what: "it began, and its result is not known".to_owned(),
            })
        })
    }

    /// The action begins.
    pub fn begin(&mut self, id: ActionId) {
        self.actions.insert(id, None);
    }

    /// The action ended like this.
    pub fn end(&mut self, id: ActionId, result: Result<Change, ActionError>) {
        self.actions.insert(id, Some(result));
    }

    /// The action stopped before it had done anything: it may be done another time.
    pub fn forget(&mut self, id: &ActionId) {
        self.actions.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Operation, UnitVerb};

    fn run(name: &str) -> RunId {
        name.parse().unwrap()
    }

    fn request(operation: Operation, is_repeated: bool) -> ActionRequest {
        ActionRequest {
            id: ActionId {
                node: "a".parse().unwrap(),
                number: 1,
            },
            is_repeated,
            action: Action {
                only_if: Vec::new(),
                operation,
                limit_ms: 1,
            },
        }
    }

    fn command() -> Operation {
        Operation::Run {
            commands: vec![Command::new(["true"])],
        }
    }

    fn start() -> Operation {
        Operation::Unit {
            name: "x".into(),
            verbs: vec![UnitVerb::Start],
            reads: Vec::new(),
        }
    }

    fn is_cut_off(answer: Option<&Result<Change, ActionError>>) -> bool {
        matches!(answer, Some(Err(ActionError::CutOff { .. })))
    }

    #[test]
    fn an_action_that_ended_is_answered_as_it_was_then() {
        let mut record = Record::open(None, &run("r1"), false);
        let first = request(command(), false);
        assert_eq!(record.answer(&first), None);
        record.begin(first.id.clone());
        let failed = Err(ActionError::Failed { message: "no".into() });
        record.end(first.id.clone(), failed.clone());
        for operation in [command(), start()] {
            assert_eq!(record.answer(&request(operation, true)), Some(failed.clone()));
        }
    }

    #[test]
    fn an_action_that_was_begun_is_done_again_only_where_that_changes_nothing() {
        let mut record = Record::open(None, &run("r1"), false);
        record.begin(request(command(), false).id);
        assert!(is_cut_off(record.answer(&request(command(), true)).as_ref()));
        assert_eq!(record.answer(&request(start(), true)), None);
        record.forget(&request(command(), false).id);
        assert_eq!(record.answer(&request(command(), true)), None);
    }

    #[test]
    fn a_record_that_is_gone_answers_for_nothing_that_was_sent_before() {
        let record = Record::open(None, &run("r1"), true);
        assert!(is_cut_off(record.answer(&request(command(), true)).as_ref()));
        assert_eq!(record.answer(&request(command(), false)), None);
        assert_eq!(record.answer(&request(start(), true)), None);
    }

    #[test]
    fn the_record_of_another_run_is_dropped() {
        let mut record = Record::open(None, &run("r1"), false);
        record.begin(request(command(), false).id);
        let other = Record::open(Some(record.clone()), &run("r2"), false);
        assert_eq!(other.answer(&request(command(), true)), None);
        let back = Record::open(Some(other), &run("r1"), true);
        assert!(is_cut_off(back.answer(&request(command(), true)).as_ref()));
        assert_eq!(Record::open(Some(record.clone()), &run("r1"), true), record);
    }
}
