//! The answer to every kind of operation is lost, at every point and up to three times: what happens on the host is
//! counted, and never happens twice where a second time would do harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plan::{Failure, NodeOutcome};
use protocol::facts::{HttpEndpoint, RespQuery, SsdbCommand, SsdbReach, UnitFact};
use protocol::{
    ActionRequest, Change, Command, DirectoryState, Fact, FactQuery, FileState, Operation, Record, Request,
    Response, Text, UnitVerb,
};
use tokio::time::sleep;
use transport::BoxFuture;
use transport::fake::{Fake, FakeHost};
use types::HostName;

use super::fake_cluster::lock;
use super::graphs::{NodeExt, graph, holder, host, node};
use super::setting::Setting;
use crate::Connections;

/// What becomes of a sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The request does not arrive.
    Request,
    /// The action is done, and its answer lost.
    Answer,
    /// The connection is lost while the action is under way; the agent carries it on to its end.
    UnderWay,
    /// The agent dies before it has done anything, and has recorded that it begins.
    AgentBefore,
    /// The agent dies after it has done it, and has not recorded that.
    AgentAfter,
    /// The host goes down after it was done, and with it the record.
    Host,
}

const LOSSES: [Loss; 6] = [
    Loss::Request,
    Loss::Answer,
    Loss::UnderWay,
    Loss::AgentBefore,
    Loss::AgentAfter,
    Loss::Host,
];

/// Every kind of operation. One that is added does not compile until it has a number here, and fails the test below until
/// it is listed.
fn number(operation: &Operation) -> usize {
    match operation {
        Operation::WriteFile { .. } => 0,
        Operation::MakeDirectory { .. } => 1,
        Operation::Unit { .. } => 2,
        Operation::InstallPackages { .. } => 3,
        Operation::Run { .. } => 4,
        Operation::Resp { .. } => 5,
        Operation::Ssdb { .. } => 6,
        Operation::Mongo { .. } => 7,
        Operation::Http { .. } => 8,
        Operation::SetAccess { .. } => 9,
        Operation::SetDirectives { .. } => 10,
        Operation::UnitFiles { .. } => 11,
        Operation::FollowMaster { .. } => 12,
        Operation::RestoreFile { .. } => 13,
    }
}

/// How many numbers there are.
const KINDS: usize = 14;

fn restore() -> Operation {
    Operation::RestoreFile {
        path: "/a".into(),
        backup: None,
        was: FileState::Absent,
    }
}

fn operations() -> Vec<Operation> {
    let (address, port) = ("h1".to_owned(), 1);
    let unit = |verbs: &[UnitVerb]| Operation::Unit {
        name: "unit".into(),
        verbs: verbs.to_vec(),
        reads: Vec::new(),
    };
    let ssdb = |until| Operation::Ssdb {
        address: address.clone(),
        port,
        password: None,
        commands: Vec::new(),
        until,
    };
    vec![
        Operation::WriteFile {
            path: "/a".into(),
            text: Text::new(""),
            mode: 0o600,
            owner: "root".into(),
            group: "root".into(),
            was: FileState::Absent,
            trial: None,
        },
        Operation::MakeDirectory {
            path: "/a".into(),
            mode: 0o700,
            owner: "root".into(),
            group: "root".into(),
            was: DirectoryState::Absent,
        },
        unit(&[UnitVerb::Enable, UnitVerb::Start]),
        unit(&[UnitVerb::Stop, UnitVerb::Start]),
        unit(&[UnitVerb::DaemonReload, UnitVerb::Restart]),
        Operation::InstallPackages { names: Vec::new() },
        Operation::Run {
            commands: vec![Command::new(["sh"])],
        },
        Operation::Resp {
            address: address.clone(),
            port,
            password: None,
            commands: Vec::new(),
        },
        Operation::FollowMaster {
            address: address.clone(),
            port,
            password: None,
            word: "REPLICAOF".to_owned(),
            sentinel: RespQuery {
                address: address.clone(),
                port,
                password: None,
                commands: Vec::new(),
            },
            old: "h2".to_owned(),
            commands: Vec::new(),
        },
        ssdb(None),
        ssdb(Some(SsdbReach {
            command: SsdbCommand::new([""; 0]),
            pattern: String::new(),
            at_least: 1,
        })),
        Operation::Mongo {
            address: address.clone(),
            port,
            user: None,
            commands: Vec::new(),
            again_on: Vec::new(),
        },
        Operation::Http {
            at: HttpEndpoint {
                address,
                port,
                account: None,
            },
            requests: Vec::new(),
            again_on: Vec::new(),
        },
        Operation::SetAccess {
            path: "/a".into(),
            mode: 0o600,
            owner: "root".into(),
            group: "root".into(),
            was: FileState::Absent,
        },
        restore(),
        Operation::SetDirectives {
            path: "/a".into(),
            directives: Vec::new(),
        },
        Operation::UnitFiles {
            name: "unit".into(),
            first: Vec::new(),
            files: Vec::new(),
            verbs: Vec::new(),
            reads: Vec::new(),
        },
    ]
}

/// A host that does everything, and loses answers in turn.
#[derive(Default)]
struct State {
    losses: Vec<Loss>,
    record: Option<Record>,
    is_busy: bool,
    /// How often each thing was done.
    done: BTreeMap<String, u32>,
}

#[derive(Clone, Default)]
pub(super) struct Lossy(Arc<Mutex<State>>);

impl Lossy {
    fn record<T>(&self, use_it: impl FnOnce(&mut Record) -> T) -> T {
        use_it(
            self.0
                .lock()
                .unwrap()
                .record
                .as_mut()
                .expect("the lock is taken first"),
        )
    }

    /// What becomes of the next sending.
    pub(super) fn lose(&self, loss: Option<Loss>) {
        self.0.lock().unwrap().losses = loss.into_iter().collect();
    }

    fn effect(&self, operation: &Operation) {
        *self
            .0
            .lock()
            .unwrap()
            .done
            .entry(format!("{operation:?}"))
            .or_default() += 1;
    }

    pub(super) fn done(&self, operation: &Operation) -> u32 {
        let state = self.0.lock().unwrap();
        state
            .done
            .get(&format!("{operation:?}"))
            .copied()
            .unwrap_or_default()
    }

    fn act(&self, request: &ActionRequest) -> Option<Response> {
        let loss = {
            let mut state = self.0.lock().unwrap();
            (!state.losses.is_empty()).then(|| state.losses.remove(0))
        };
        if loss == Some(Loss::Request) {
            return None;
        }
        let operation = &request.action.operation;
        if let Some(known) = self.record(|record| record.answer(request)) {
            // Whatever is lost now is the answer only, or the record.
            if loss == Some(Loss::Host) {
                self.0.lock().unwrap().record = None;
            }
            return loss.is_none().then_some(Response::Acted(known));
        }
        self.record(|record| record.begin(request.id.clone()));
        if loss == Some(Loss::AgentBefore) {
            return None;
        }
        self.effect(operation);
        let result = Ok(Change {
            summary: "done".into(),
            backup: None,
            wrote: None,
        });
        match loss {
            Some(Loss::AgentAfter) => return None,
            Some(Loss::Host) => {
                self.0.lock().unwrap().record = None;
                return None;
            }
            Some(Loss::UnderWay) => {
                self.0.lock().unwrap().is_busy = true;
                let (host, id) = (self.clone(), request.id.clone());
                tokio::spawn(async move {
                    sleep(Duration::from_secs(7)).await;
                    host.record(|record| record.end(id, result));
                    host.0.lock().unwrap().is_busy = false;
                });
                return None;
            }
            _ => self.record(|record| record.end(request.id.clone(), result.clone())),
        }
        loss.is_none().then_some(Response::Acted(result))
    }
}

impl FakeHost for Lossy {
    fn answer(&self, _host: HostName, request: Request) -> BoxFuture<'static, Option<Response>> {
        let host = self.clone();
        Box::pin(async move {
            match request {
                Request::Secrets(_) | Request::Heartbeat => panic!("a fake host takes them"),
                Request::Lock { holder, had_lock } => {
                    let mut state = host.0.lock().unwrap();
                    if state.is_busy {
                        return Some(Response::LockedBy(holder));
                    }
                    Some(lock(&mut state.record, &holder, had_lock))
                }
                Request::Gather(queries) => {
                    let restarts = operations().into_iter().find(is_restart).map(|it| host.done(&it));
                    let facts = queries.iter().map(|query| match query {
                        FactQuery::Unit(_) => Ok(Fact::Unit(UnitFact {
                            load: "loaded".into(),
                            active: "active".into(),
                            sub: "running".into(),
                            enabled: "enabled".into(),
                            main_pid: 1,
                            started_us: 1,
                            invocation: format!("{restarts:?}"),
                            stale: false,
                            started_with: Vec::new(),
                        })),
                        other => panic!("nobody asks {other:?}"),
                    });
                    Some(Response::Facts(facts.collect()))
                }
                Request::Act(request) => host.act(&request),
            }
        })
    }
}

fn is_restart(operation: &Operation) -> bool {
    matches!(operation, Operation::Unit { verbs, .. } if verbs.contains(&UnitVerb::Restart))
}

/// All sequences of up to so many losses.
fn sequences(most: usize) -> Vec<Vec<Loss>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..most {
        last = last
            .iter()
            .flat_map(|sequence| LOSSES.map(|loss| [sequence.clone(), vec![loss]].concat()))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn every_kind_of_operation_is_listed() {
    let listed: BTreeSet<usize> = operations().iter().map(number).collect();
    assert_eq!(listed, (0..KINDS).collect());
}

#[tokio::test(start_paused = true)]
async fn whatever_is_lost_nothing_that_must_not_be_repeated_is_done_twice() {
    for operation in operations() {
        // Of those that are sent alike one is tried to the end, for the sake of time.
        let is_tried_to_the_end = matches!(operation, Operation::Run { .. } | Operation::Unit { .. });
        for losses in sequences(if is_tried_to_the_end { 3 } else { 2 }) {
            let mut node = node("a", "h1", &[]).ungated();
            node.action.as_mut().unwrap().operation = operation.clone();
            let setting = Setting::new(graph(vec![node]));
            let lossy = Lossy::default();
            lossy.0.lock().unwrap().losses.clone_from(&losses);
            let fake = Arc::new(Fake::new(Arc::new(lossy.clone())));
            let mut connections = Connections::new(fake, [host("h1")], Vec::new(), 1);
            connections.take_locks(holder("r1")).await.unwrap();
            let ran = setting.run_over(&connections).await;
            let (done, told) = (lossy.done(&operation), ran.of("a"));
            let context = format!("{operation:?} {losses:?}: done {done} times: {told:?}");
            if !operation.is_idempotent() {
                assert!(done <= 1, "{context}");
            }
            match told {
                NodeOutcome::Done { .. } => assert!(done >= 1, "told and not done: {context}"),
                NodeOutcome::Failed {
                    failure: Failure::CutOff { .. },
                } => {
                    assert!(!operation.is_idempotent() && !is_restart(&operation), "{context}");
                    let is_unknown = |loss| matches!(loss, Loss::AgentBefore | Loss::AgentAfter | Loss::Host);
                    assert!(
                        losses.iter().copied().any(is_unknown),
                        "known, and not told: {context}"
                    );
                }
                // Three sendings are all that there are.
                NodeOutcome::Failed {
                    failure: Failure::Lost { .. },
                } => assert_eq!(losses.len(), 3, "{context}"),
                other => panic!("{other:?}: {context}"),
            }
        }
    }
}
