//! Hosts in memory: what the executor's tests and the simulation run against.
//!
//! A fake host is a function from request to response, maybe after a while of (simulated) time, and a switch that
//! cuts its connections. It speaks real frames over an in-memory stream, so a [`Session`](crate::Session) cannot
//! tell it from an agent.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use protocol::frame::{self, Decoder};
use protocol::{Hello, Request, Response, ToAgent, ToController, VERSION};
use sealing::KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, split};
use tokio::sync::{mpsc, oneshot};
use types::{HostName, Secret, SecretId};

use crate::{AgentStream, BoxFuture, ConnectError, Transport};

/// What a fake host does with a request; secrets are opened before. `None` cuts the connection instead of answering.
pub trait FakeHost: Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, host: HostName, request: Request) -> BoxFuture<'static, Option<Response>>;

    /// Takes secrets in, which were sealed for this connection. `None` cuts the connection.
    fn learn(
        &self,
        _host: HostName,
        _secrets: Vec<(SecretId, Secret)>,
    ) -> BoxFuture<'static, Option<Response>> {
        Box::pin(async { Some(Response::Ready) })
    }

    /// The agent of a new connection, where each has its own; it is dropped when the connection has ended,
    /// however that came about.
    fn connect(&self, _host: &HostName) -> Option<Arc<dyn FakeHost>> {
        None
    }
}

/// A transport to fake hosts.
#[derive(Clone)]
pub struct Fake {
    hosts: Arc<dyn FakeHost>,
    switches: Switches,
}

type Switches = Arc<Mutex<BTreeMap<HostName, Switch>>>;

/// Whether a host is cut off, and what cuts its connections: one after another, in the order in which they were opened.
#[derive(Default)]
struct Switch {
    is_down: bool,
    cuts: Vec<oneshot::Sender<()>>,
}

impl Fake {
    /// Hosts that are all up.
    pub fn new(hosts: Arc<dyn FakeHost>) -> Self {
        Self {
            hosts,
            switches: Arc::default(),
        }
    }

    /// Cuts a host off (its connections break, new ones are refused), or brings it back.
    pub fn set_down(&self, host: &HostName, is_down: bool) {
        let mut switches = self.switches.lock().unwrap_or_else(PoisonError::into_inner);
        let switch = switches.entry(host.clone()).or_default();
        switch.is_down = is_down;
        if is_down {
            for cut in switch.cuts.drain(..) {
                // The connection may have ended by itself.
                let _gone = cut.send(());
            }
        }
    }

    /// What cuts a new connection; `None` where there can be none.
    fn cut(&self, host: &HostName) -> Option<oneshot::Receiver<()>> {
        let mut switches = self.switches.lock().unwrap_or_else(PoisonError::into_inner);
        let switch = switches.entry(host.clone()).or_default();
        switch.cuts.retain(|cut| !cut.is_closed());
        let (cut, end) = oneshot::channel();
        switch.cuts.push(cut);
        (!switch.is_down).then_some(end)
    }
}

impl Transport for Fake {
    fn open<'a>(&'a self, host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        Box::pin(async move {
            let Some(cut) = self.cut(host) else {
                let message = format!("{host} is cut off");
                return Err(ConnectError {
                    message,
                    hint: String::new(),
                    transient: true,
                });
            };
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let agent = self
                .hosts
                .connect(host)
                .unwrap_or_else(|| Arc::clone(&self.hosts));
            let switches = Arc::clone(&self.switches);
            let host = host.clone();
            tokio::spawn(async move {
                serve(theirs, host, agent, cut).await;
                // What can cut the connection lives as long as it does.
                drop(switches);
            });
            let (reader, writer) = split(ours);
            let epilogue = Box::pin(async { "the fake host went away".to_owned() });
            Ok(AgentStream {
                reader: Box::new(reader),
                writer: Box::new(writer),
                epilogue,
            })
        })
    }
}

/// The keys of all fake hosts: to make a pair takes milliseconds without optimisation, and tests in simulated time open
/// thousands of connections.
static KEYS: LazyLock<KeyPair> = LazyLock::new(KeyPair::generate);

async fn serve(
    stream: DuplexStream,
    host: HostName,
    agent: Arc<dyn FakeHost>,
    mut cut: oneshot::Receiver<()>,
) {
    let (reader, mut writer) = split(stream);
    let (answers, mut queue) = mpsc::unbounded_channel::<Option<ToController>>();
    let hello = Hello {
        version: VERSION,
        pid: 1,
        uid: 0,
        key: KEYS.public(),
    };
    let reading = tokio::spawn(read_requests(reader, host, agent, answers));
    let mut frame = frame::encode(&hello).ok();
    while let Some(bytes) = frame.take() {
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
        frame = tokio::select! {
            biased;
            answer = queue.recv() => answer.flatten().and_then(|answer| frame::encode(&answer).ok()),
            _ = &mut cut => None,
        };
    }
    // Dropping both halves cuts the connection.
    reading.abort();
}

async fn read_requests(
    mut reader: ReadHalf<DuplexStream>,
    host: HostName,
    agent: Arc<dyn FakeHost>,
    answers: mpsc::UnboundedSender<Option<ToController>>,
) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 4096];
    loop {
        match decoder.next::<ToAgent>() {
            Ok(Some(ToAgent { id, request })) => {
                let answer = match request {
                    Request::Heartbeat => continue,
                    Request::Secrets(sealed) => match KEYS.open(&sealed) {
                        Ok(secrets) => agent.learn(host.clone(), secrets),
                        Err(error) => {
                            let refused = Response::Failed(error.to_string());
                            Box::pin(async { Some(refused) })
                        }
                    },
                    request => agent.answer(host.clone(), request),
                };
                let answers = answers.clone();
                tokio::spawn(async move {
                    let answer = answer.await.map(|response| ToController { id, response });
                    // The connection may be gone by now; then nobody waits.
                    drop(answers.send(answer));
                });
            }
            Ok(None) => match reader.read(&mut buffer).await {
                Ok(read) if read > 0 => decoder.push(&buffer[..read]),
                _ => return,
            },
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Session, SessionError};
    use std::time::Duration;

    /// Answers `Lock` after a minute, cuts the connection on `Secrets`, and anything else at once.
    struct Slow;

    impl FakeHost for Slow {
        fn answer(&self, _host: HostName, request: Request) -> BoxFuture<'static, Option<Response>> {
            Box::pin(async move {
                match request {
                    Request::Lock { .. } => {
                        tokio::time::sleep(Duration::from_mins(1)).await;
                        Some(Response::Locked)
                    }
                    Request::Gather(queries) => Some(Response::Facts(Vec::with_capacity(queries.len()))),
                    _ => None,
                }
            })
        }
    }

    async fn session(fake: &Fake) -> Session {
        Session::start(fake.open(&"db1".parse().unwrap()).await.unwrap())
            .await
            .unwrap()
    }

    fn holder() -> protocol::LockHolder {
        protocol::LockHolder {
            who: "me@here".into(),
            since: String::new(),
            run: "r1".parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_any_order() {
        let session = session(&Fake::new(Arc::new(Slow))).await;
        let (slow, quick) = tokio::join!(session.take_lock(holder(), false), session.gather(Vec::new()));
        assert_eq!((slow, quick), (Ok(None), Ok(Vec::new())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_on_a_lost_connection_is_told() {
        let fake = Fake::new(Arc::new(Slow));
        let session = session(&fake).await;
        let (waiting, ()) = tokio::join!(session.take_lock(holder(), false), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fake.set_down(&"db1".parse().unwrap(), true);
        });
        assert_eq!(waiting, Err(SessionError::Lost("the fake host went away".into())));
        assert!(session.is_over());
        assert!(
            fake.open(&"db1".parse().unwrap())
                .await
                .is_err_and(|error| error.transient)
        );
    }
}
