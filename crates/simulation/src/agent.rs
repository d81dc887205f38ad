//! An agent, as far as time goes: what the real one does one after another, and where it stops.
//!
//! It lives as long as its connection, and an action that it has begun goes on to its next safe point; only then is the
//! run lock given back. With its host it goes down at once, wherever it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::facts::{FileFact, FileQuery};
use protocol::{
    Action, ActionError, ActionRequest, Change, Fact, FactError, FactQuery, FileChange, LockHolder,
    Operation, Query as _, Request, Response, UnitVerb,
};
use tokio::time::{Instant, sleep};
use transport::BoxFuture;
use transport::fake::FakeHost;
use types::{HostName, Secret, SecretId};

use crate::site::Site;
use crate::{secrecy, words};

/// The pause before a server is asked again that was not ready: the real agent's.
const AGAIN: Duration = Duration::from_millis(500);

/// The agent of one connection.
pub(crate) struct Agent {
    life: Arc<Life>,
}

/// What the agent and its actions share; the run lock goes with the last of them.
struct Life {
    site: Arc<Site>,
    host: HostName,
    /// Tells it from other agents of the host.
    id: u64,
    /// How often the host had been up when it started.
    boot: u64,
    is_closing: AtomicBool,
    /// The secrets that it was handed.
    given: Mutex<BTreeMap<SecretId, Secret>>,
}

impl Agent {
    pub(crate) fn new(site: Arc<Site>, host: HostName) -> Self {
        let (id, boot) = site.agent_starts(&host);
        let life = Life {
            site,
            host,
            id,
            boot,
            is_closing: AtomicBool::new(false),
            given: Mutex::default(),
        };
        Self { life: Arc::new(life) }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.life.is_closing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.site.unlock(&self.host, self.id);
    }
}

impl FakeHost for Agent {
    /// At once, so that it holds for all requests that come after it: as the real agent does.
    fn learn(
        &self,
        host: HostName,
        secrets: Vec<(SecretId, Secret)>,
    ) -> BoxFuture<'static, Option<Response>> {
        let life = Arc::clone(&self.life);
        life.site.hand_over(&host, secrets.iter().map(|(id, _)| id));
        life.given().extend(secrets);
        Box::pin(async move {
            life.wait(life.site.latency()).await?;
            Some(Response::Ready)
        })
    }

    fn answer(&self, _host: HostName, request: Request) -> BoxFuture<'static, Option<Response>> {
        let life = Arc::clone(&self.life);
        Box::pin(async move {
            let arrived = life.site.now();
            life.wait(life.site.latency()).await?;
            if life.is_closing.load(Ordering::Relaxed) {
                return None;
            }
            let response = match request {
                // They are taken before.
                Request::Secrets(_) | Request::Heartbeat => return None,
                Request::Lock { holder, had_lock } => life.lock(holder, had_lock),
                Request::Gather(queries) => {
                    life.site.count_gather(&life.host);
                    Response::Facts(life.gather(&queries))
                }
                Request::Act(request) => life.act_once(&request, arrived).await?,
            };
            life.wait(life.site.latency()).await?;
            Some(response)
        })
    }
}

impl Life {
    /// Lets time pass; `None` where the host went down meanwhile, and the agent with it.
    async fn wait(&self, time: Duration) -> Option<()> {
        sleep(time).await;
        self.site.is_boot(&self.host, self.boot).then_some(())
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<SecretId, Secret>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers; that a secret leaves the host in the open must not be.
    fn gather(&self, queries: &[FactQuery]) -> Vec<Result<Fact, FactError>> {
        let answers = self.site.answer(&self.host, queries);
        let given = self.given();
        let reported = queries.iter().zip(answers).map(|(query, answer)| {
            let truth = answer.and_then(|fact| {
                secrecy::reported(query, fact, &given).map_err(|leaked| {
                    let message = format!("{} would show {leaked} in the answer to {query:?}", self.host);
                    self.site.violation(&message);
                    FactError { message }
                })
            });
            self.site.doubts.said(&self.host, query, truth)
        });
        reported.collect()
    }

    fn lock(&self, holder: LockHolder, had_lock: bool) -> Response {
        match self.site.lock(&self.host, self.id, holder, had_lock) {
            None => Response::Locked,
            Some(other) => Response::LockedBy(other),
        }
    }

    /// Does what the record does not answer, as the real agent does.
    async fn act_once(&self, request: &ActionRequest, arrived: Duration) -> Option<Response> {
        let Some(known) = self
            .site
            .record(&self.host, self.id, |record| record.answer(request))
        else {
            return Some(Response::Failed("the run lock is not held".to_owned()));
        };
        if let Some(known) = known {
            return Some(Response::Acted(known));
        }
        let action = &request.action;
        let until = Instant::now() + Duration::from_millis(action.limit_ms);
        let ready = self.site.check(&self.host, &action.only_if);
        if let Err(error) = ready.and_then(|()| self.safe_point(&action.operation, until, action.limit_ms)) {
            return Some(Response::Acted(Err(error)));
        }
        self.site
            .record(&self.host, self.id, |record| record.begin(request.id.clone()));
        let mut is_touched = false;
        let result = self.act(action, until, arrived, &mut is_touched).await?;
        self.site.record(&self.host, self.id, |record| match &result {
            Err(ActionError::CutOff { .. }) if !is_touched => record.forget(&request.id),
            result => record.end(request.id.clone(), result.clone()),
        });
        Some(Response::Acted(result))
    }

    async fn act(
        &self,
        action: &Action,
        until: Instant,
        arrived: Duration,
        is_touched: &mut bool,
    ) -> Option<Result<Change, ActionError>> {
        let before = action.operation.file().and_then(|(path, _)| self.hash(path));
        for piece in pieces(&action.operation) {
            if let Err(error) = self.safe_point(&piece, until, action.limit_ms) {
                return Some(Err(error));
            }
            loop {
                match self.site.operate(&self.host, self.id, &piece, arrived) {
                    Ok(()) => {
                        *is_touched |= touches(&piece);
                        while let Some(rest) = self.site.busy(&self.host) {
                            self.wait(rest).await?;
                        }
                        break;
                    }
                    Err(_) if is_repeated(&piece) && Instant::now() + AGAIN < until => {
                        self.wait(AGAIN).await?;
                        if let Err(error) = self.safe_point(&piece, until, action.limit_ms) {
                            return Some(Err(error));
                        }
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
            self.wait(self.site.work()).await?;
        }
        // As the agent keeps what it replaces.
        let (backup, wrote) = match action.operation.file() {
            Some((path, _)) => (
                before.map(|_| format!("/var/backups/clusterctl{path}")),
                self.hash(path),
            ),
            None => (None, None),
        };
        Some(Ok(Change {
            summary: "done".to_owned(),
            backup,
            wrote,
        }))
    }

    /// The hash of a file as it stands.
    fn hash(&self, path: &str) -> Option<String> {
        let answers = self.site.answer(&self.host, &[FileQuery::meta(path).wrap()]);
        answers.into_iter().find_map(|answer| match answer {
            Ok(Fact::File(FileFact::Present(meta))) => Some(meta.sha256),
            _ => None,
        })
    }

    fn safe_point(&self, next: &Operation, until: Instant, limit_ms: u64) -> Result<(), ActionError> {
        if self.is_closing.load(Ordering::Relaxed) {
            let what = format!("the connection ended before {}", words::operation(next));
            return Err(ActionError::CutOff { what });
        }
        if Instant::now() >= until {
            let what = words::operation(next);
            return Err(ActionError::TimedOut { what, limit_ms });
        }
        Ok(())
    }
}

/// Whether the agent sends it again where the server is not ready for it.
fn is_repeated(operation: &Operation) -> bool {
    match operation {
        Operation::Mongo { again_on, .. } => !again_on.is_empty(),
        Operation::Ssdb { until, .. } => until.is_some(),
        _ => false,
    }
}

/// Whether a piece that was done must not be done a second time.
fn touches(piece: &Operation) -> bool {
    match piece {
        Operation::Unit { verbs, .. } => verbs.contains(&UnitVerb::Restart),
        other => !other.is_idempotent(),
    }
}

/// An operation in the pieces between which it may be cut off.
pub(crate) fn pieces(operation: &Operation) -> Vec<Operation> {
    match operation {
        Operation::Run { commands } => commands
            .iter()
            .map(|command| Operation::Run {
                commands: vec![command.clone()],
            })
            .collect(),
        Operation::Unit { name, verbs, reads } => verbs
            .iter()
            .map(|verb| Operation::Unit {
                name: name.clone(),
                verbs: vec![*verb],
                reads: reads.clone(),
            })
            .collect(),
        Operation::UnitFiles {
            name,
            first,
            files,
            verbs,
            reads,
        } => {
            let tell = |verb: &UnitVerb| Operation::Unit {
                name: name.clone(),
                verbs: vec![*verb],
                reads: reads.clone(),
            };
            let change = |file: &FileChange| Operation::UnitFiles {
                name: name.clone(),
                first: Vec::new(),
                files: vec![file.clone()],
                verbs: Vec::new(),
                reads: Vec::new(),
            };
            let (first, verbs) = (first.iter().map(tell), verbs.iter().map(tell));
            first.chain(files.iter().map(change)).chain(verbs).collect()
        }
        Operation::Mongo {
            address,
            port,
            user,
            commands,
            again_on,
        } => commands
            .iter()
            .map(|command| Operation::Mongo {
                address: address.clone(),
                port: *port,
                user: user.clone(),
                commands: vec![command.clone()],
                again_on: again_on.clone(),
            })
            .collect(),
        whole => vec![whole.clone()],
    }
}
