//! The conversation with one agent.
//!
//! Requests may be made from many tasks at once: each gets a number, one task writes frames, another reads them and
//! hands each answer to who waits for its number. When the stream ends, everybody who still waits is told why,
//! in the far side's own words.
//!
//! Secrets that a request refers to, and that this agent does not have yet, go out right before it in the same write,
//! sealed for this agent. It takes them in before it reads the request, so they cost no round trip of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::bounds::Exceeded;
use protocol::frame::{self, Decoder, FrameError};
use protocol::{
    ActionError, ActionRequest, Change, Fact, FactError, FactQuery, Hello, LockHolder, Request, RequestId,
};
use protocol::{HEARTBEAT, Response, ToAgent, VERSION};
use sealing::{SealError, seal};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use types::SecretId;

use crate::{AgentStream, HostSecrets};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The stream ended.
    #[error("the connection ended: {0}")]
    Lost(String),
    /// The agent is of another version.
    #[error("the agent speaks version {theirs} of the protocol, and this is version {VERSION}")]
    Version {
        /// The agent's version.
        theirs: u32,
    },
    /// The agent could not serve the request.
    #[error("the agent reports: {0}")]
    Refused(String),
    /// The answer is too large or nests too deep.
    #[error("the agent's answer is rejected: {0}")]
    TooMuch(Exceeded),
    /// The agent answered something else than was asked: a defect.
    #[error("the agent's answer does not fit the request")]
    Unexpected,
    /// The request does not encode: a defect.
    #[error("the request cannot be sent")]
    Encode(#[source] FrameError),
    /// The request refers to a secret that this run has no value of: nothing was sent.
    #[error("a request refers to the secret {0}, which the inventory does not name")]
    UnknownSecret(SecretId),
    /// The secrets cannot be sealed for this agent: nothing was sent.
    #[error("secrets cannot be handed over")]
    Seal(#[source] SealError),
}

/// A conversation with an agent. Cheap to clone; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    hello: Hello,
    secrets: HostSecrets,
    pending: Arc<Mutex<Pending>>,
    reading: AbortHandle,
    writing: AbortHandle,
}

/// An answer, or the limit that it is over.
type Answered = Result<Response, Exceeded>;

struct Pending {
    next: RequestId,
    /// Sorted, so that they are told in the same order every time.
    waiting: BTreeMap<RequestId, oneshot::Sender<Answered>>,
    /// Where frames go; `None` once the conversation is over, which closes the agent's input.
    outgoing: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// The secrets that the agent has, or will have before it reads anything that is sent from now on.
    handed_over: BTreeSet<SecretId>,
    /// Why the stream ended, once it has.
    ended: Option<String>,
}

/// How many requests may wait for an answer; an agent serves 32 at once. One that leaves so many unanswered is lost.
const IN_FLIGHT: usize = 1 << 10;

/// How much of the far side's last words is kept.
const LAST_WORDS_LEN: usize = 8 << 10;

/// How long the far side may take to say why it ended. An agent may close its output and live on.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Session {
    /// Reads the agent's greeting and starts a conversation in which nothing refers to a secret.
    pub async fn start(stream: AgentStream) -> Result<Self, SessionError> {
        Self::start_with(stream, HostSecrets::default()).await
    }

    /// Reads the agent's greeting and starts the conversation. The agent is handed those of the secrets that requests
    /// refer to, or referred to on an earlier connection to the same host.
    pub async fn start_with(stream: AgentStream, secrets: HostSecrets) -> Result<Self, SessionError> {
        let AgentStream {
            mut reader,
            writer,
            epilogue,
        } = stream;
        let mut decoder = Decoder::default();
        let hello = match read_message(&mut reader, &mut decoder, Decoder::next::<Hello>).await {
            Ok(Some(hello)) => hello,
            Ok(None) => return Err(SessionError::Lost(last_words(epilogue).await)),
            Err(why) => return Err(SessionError::Lost(why)),
        };
        if hello.version != VERSION {
            return Err(SessionError::Version {
                theirs: hello.version,
            });
        }
        let (outgoing, queue) = mpsc::unbounded_channel();
        let pending = Arc::new(Mutex::new(Pending {
            next: 0,
            waiting: BTreeMap::new(),
            outgoing: Some(outgoing),
            handed_over: BTreeSet::new(),
            ended: None,
        }));
        let writing = tokio::spawn(write_frames(writer, queue)).abort_handle();
        let answers = Arc::clone(&pending);
        let reading = tokio::spawn(async move {
            let why = match read_answers(reader, decoder, &answers).await {
                Ok(()) => last_words(epilogue).await,
                Err(why) => why,
            };
            lock(&answers).end(why);
        });
        Ok(Self {
            inner: Arc::new(Inner {
                hello,
                secrets,
                pending,
                reading: reading.abort_handle(),
                writing,
            }),
        })
    }

    /// What the agent said of itself.
    pub fn hello(&self) -> &Hello {
        &self.inner.hello
    }

    /// Whether the stream has ended.
    pub fn is_over(&self) -> bool {
        lock(&self.inner.pending).ended.is_some()
    }

    /// Whether nobody waits for an answer.
    pub fn is_idle(&self) -> bool {
        lock(&self.inner.pending)
            .waiting
            .values()
            .all(oneshot::Sender::is_closed)
    }

    /// Ends the conversation at once, for all who take part in it, and says why. For an agent that does not answer:
    /// the stream is dropped as it is.
    pub fn abandon(&self, why: &str) {
        lock(&self.inner.pending).end(why.to_owned());
        self.inner.reading.abort();
        self.inner.writing.abort();
    }

    /// Sends a request, after the secrets that it refers to, and waits for its answer.
    pub async fn request(&self, request: Request) -> Result<Response, SessionError> {
        let secrets = &self.inner.secrets;
        secrets
            .refer(request.secrets())
            .map_err(SessionError::UnknownSecret)?;
        let (answer, taken) = {
            let mut pending = lock(&self.inner.pending);
            if let Some(why) = &pending.ended {
                return Err(SessionError::Lost(why.clone()));
            }
            if pending.waiting.len() >= IN_FLIGHT {
                let why = format!("the agent has left {IN_FLIGHT} requests unanswered");
                pending.end(why.clone());
                return Err(SessionError::Lost(why));
            }
            let missing = secrets.missing(&pending.handed_over);
            let handing_over = match missing.as_slice() {
                [] => None,
                missing => Some(seal(&self.inner.hello.key, missing).map_err(SessionError::Seal)?),
            };
            let (frame, answer) = pending.add(request)?;
            match handing_over {
                None => {
                    pending.send(frame);
                    (answer, None)
                }
                Some(sealed) => {
                    let (mut frames, taken) = pending.add(Request::Secrets(sealed))?;
                    frames.extend(frame);
                    pending.send(frames);
                    pending.handed_over.extend(missing.into_iter().map(|(id, _)| id));
                    (answer, Some(taken))
                }
            }
        };
        if let Some(taken) = taken {
            let taken = self.wait(taken).await;
            if !matches!(taken, Ok(Response::Ready)) {
                // It counts as handed over, and is not: the next request needs another agent.
                self.abandon("the agent did not accept the secrets");
            }
            match taken? {
                Response::Ready => {}
                _ => return Err(SessionError::Unexpected),
            }
        }
        self.wait(answer).await
    }

    async fn wait(&self, answer: oneshot::Receiver<Answered>) -> Result<Response, SessionError> {
        match answer.await {
            Ok(Ok(Response::Failed(why))) => Err(SessionError::Refused(why)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(exceeded)) => Err(SessionError::TooMuch(exceeded)),
            Err(_) => {
                let ended = lock(&self.inner.pending).ended.clone();
                Err(SessionError::Lost(ended.unwrap_or_default()))
            }
        }
    }

    /// Takes the host's run lock; the answer is who else holds it. `had_lock` says whether the run has had it before.
    pub async fn take_lock(
        &self,
        holder: LockHolder,
        had_lock: bool,
    ) -> Result<Option<LockHolder>, SessionError> {
        match self.request(Request::Lock { holder, had_lock }).await? {
            Response::Locked => Ok(None),
            Response::LockedBy(other) => Ok(Some(other)),
            _ => Err(SessionError::Unexpected),
        }
    }

    /// Answers queries: one round trip, an answer for each, in order.
    pub async fn gather(
        &self,
        queries: Vec<FactQuery>,
    ) -> Result<Vec<Result<Fact, FactError>>, SessionError> {
        let asked = queries.len();
        match self.request(Request::Gather(queries)).await? {
            Response::Facts(facts) if facts.len() == asked => {
                let secrets = &self.inner.secrets;
                let checked = facts.into_iter().map(|fact| secrets.checked(fact?));
                Ok(checked.collect())
            }
            _ => Err(SessionError::Unexpected),
        }
    }

    /// Makes a change.
    pub async fn act(&self, request: ActionRequest) -> Result<Result<Change, ActionError>, SessionError> {
        match self.request(Request::Act(Box::new(request))).await? {
            Response::Acted(result) => Ok(result),
            _ => Err(SessionError::Unexpected),
        }
    }
}

impl Pending {
    /// Gives a request its number: its frame, and where its answer comes.
    fn add(&mut self, request: Request) -> Result<(Vec<u8>, oneshot::Receiver<Answered>), SessionError> {
        let id = self.next;
        let frame = frame::encode(&ToAgent { id, request }).map_err(SessionError::Encode)?;
        let (sender, answer) = oneshot::channel();
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(id, sender);
        Ok((frame, answer))
    }

    /// Queues what is written in one piece. A closed queue means that the writer saw the stream end; the reader tells why.
    fn send(&self, frames: Vec<u8>) {
        let _sent = self.outgoing.as_ref().map(|queue| queue.send(frames));
    }

    /// Tells everybody who waits, and closes the agent's input.
    fn end(&mut self, why: String) {
        self.ended.get_or_insert(why);
        self.waiting.clear();
        self.outgoing = None;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What is queued is still written; then the agent's input is closed.
        lock(&self.pending).outgoing = None;
    }
}

async fn last_words(epilogue: impl Future<Output = String>) -> String {
    let silence = || "it ended without output".to_owned();
    let mut words = tokio::time::timeout(LAST_WORDS, epilogue)
        .await
        .unwrap_or_else(|_| silence());
    words.truncate(words.floor_char_boundary(LAST_WORDS_LEN));
    words
}

/// A lock that cannot be poisoned in a way that matters: nothing panics while holding it.
fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_frames(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = next_frame(&mut queue).await {
        if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
            // The reader sees the same end, and has the words for it.
            return;
        }
    }
    if let Err(error) = writer.shutdown().await {
        tracing::debug!(%error, "closing the stream to the agent");
    }
}

/// The next frame that is queued, or a heartbeat where none comes for a while: the agent of a controller that is gone ends by
/// itself. `None` once the conversation is over.
async fn next_frame(queue: &mut mpsc::UnboundedReceiver<Vec<u8>>) -> Option<Vec<u8>> {
    if let Ok(frame) = tokio::time::timeout(HEARTBEAT, queue.recv()).await {
        return frame;
    }
    // The number stands for no request: there is no answer.
    let beat = ToAgent {
        id: RequestId::MAX,
        request: Request::Heartbeat,
    };
    frame::encode(&beat).ok()
}

async fn read_answers(
    mut reader: impl AsyncRead + Unpin,
    mut decoder: Decoder,
    pending: &Mutex<Pending>,
) -> Result<(), String> {
    while let Some((id, mut answer)) = read_message(&mut reader, &mut decoder, Decoder::next_answer).await? {
        // A request that was given up still waits for its answer, so this is no late one; and an agent that
        // makes answers up might never stop.
        let waiting = lock(pending).waiting.remove(&id);
        let waiting = waiting.ok_or_else(|| "the agent answered a request that was not made".to_owned())?;
        if let Ok(response) = &mut answer {
            response.cut_messages();
        }
        // The caller may have given up meanwhile.
        drop(waiting.send(answer));
    }
    Ok(())
}

/// The next message; `None` where the stream ended.
async fn read_message<T>(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
    mut next: impl FnMut(&mut Decoder) -> Result<Option<T>, FrameError>,
) -> Result<Option<T>, String> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if let Some(message) = next(decoder).map_err(|error| error.to_string())? {
            return Ok(Some(message));
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return Ok(None),
            Ok(read) => decoder.push(&buffer[..read]),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ToController;
    use tokio::io::DuplexStream;
    use tokio::time::timeout;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A conversation, and the agent's end of it.
    async fn conversation(
        epilogue: impl Future<Output = String> + Send + 'static,
    ) -> (Session, DuplexStream) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let hello = Hello {
            version: VERSION,
            pid: 1,
            uid: 0,
            key: protocol::SealingKey([7; 32]),
        };
        theirs.write_all(&frame::encode(&hello).unwrap()).await.unwrap();
        let (reader, writer) = tokio::io::split(ours);
        let session = Session::start(AgentStream {
            reader: Box::new(reader),
            writer: Box::new(writer),
            epilogue: Box::pin(epilogue),
        });
        (session.await.unwrap(), theirs)
    }

    fn lost(why: &str) -> SessionError {
        SessionError::Lost(why.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_ends_its_output_and_never_itself_is_lost_all_the_same() {
        let (session, theirs) = conversation(std::future::pending()).await;
        let (hearing, mut saying) = tokio::io::split(theirs);
        saying.shutdown().await.unwrap();
        let answer = timeout(MINUTE, session.gather(Vec::new()))
            .await
            .expect("it hangs");
        assert_eq!(answer, Err(lost("it ended without output")));
        drop(hearing);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_answer_that_is_no_frame_the_agents_input_is_closed() {
        let (session, mut theirs) = conversation(async { String::new() }).await;
        theirs.write_all(b"Segmentation fault\n").await.unwrap();
        let mut heard = Vec::new();
        let end = timeout(MINUTE, theirs.read_to_end(&mut heard)).await;
        assert!(end.expect("its input stays open").is_ok());
        assert!(session.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_conversation_ends_for_all_though_the_agent_reads_nothing() {
        let (session, theirs) = conversation(async { String::new() }).await;
        // More than the stream takes in: the writer is stuck in the middle of it.
        let queries = vec![protocol::FactQuery::Os(protocol::facts::OsQuery); 9000];
        let other = session.clone();
        let (asked, also, ()) = tokio::join!(session.gather(queries), other.gather(Vec::new()), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!session.is_idle());
            session.abandon("no answer");
        });
        assert_eq!((asked, also), (Err(lost("no answer")), Err(lost("no answer"))));
        assert!(session.is_over() && session.is_idle());
        assert_eq!(session.gather(Vec::new()).await, Err(lost("no answer")));
        let (mut hearing, _saying) = tokio::io::split(theirs);
        let mut heard = Vec::new();
        let end = timeout(MINUTE, hearing.read_to_end(&mut heard)).await;
        assert!(end.expect("the stream stays open").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn with_the_last_clone_what_is_queued_is_written_and_the_input_closed() {
        let (session, mut theirs) = conversation(async { String::new() }).await;
        let asking = tokio::spawn({
            let session = session.clone();
            async move { session.gather(Vec::new()).await }
        });
        tokio::task::yield_now().await;
        asking.abort();
        drop((session, asking.await));
        let mut heard = Vec::new();
        let end = timeout(MINUTE, theirs.read_to_end(&mut heard)).await;
        assert!(end.expect("its input stays open").is_ok());
        assert!(!heard.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_hears_of_a_controller_that_wants_nothing_well_before_it_gives_it_up() {
        let (session, mut theirs) = conversation(async { String::new() }).await;
        let mut decoder = Decoder::default();
        let begun = tokio::time::Instant::now();
        for beat in 1..=3 {
            let heard = read_message(&mut theirs, &mut decoder, Decoder::next::<ToAgent>);
            let heard = timeout(protocol::SILENCE / 3, heard)
                .await
                .expect("silence")
                .unwrap();
            assert!(matches!(heard.unwrap().request, Request::Heartbeat));
            assert_eq!(begun.elapsed(), HEARTBEAT * beat);
        }
        assert!(session.is_idle());
        drop(session);
        let end = read_message(&mut theirs, &mut decoder, Decoder::next::<ToAgent>).await;
        assert!(end.unwrap().is_none(), "a conversation that is over has no heart");
    }

    /// Writes an answer of these bytes to the first request.
    async fn answer(theirs: &mut DuplexStream, response: &[u8]) {
        let mut frame = u32::try_from(1 + response.len()).unwrap().to_be_bytes().to_vec();
        frame.push(0);
        frame.extend_from_slice(response);
        theirs.write_all(&frame).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_nested_ten_thousand_levels_deep_is_an_error_of_its_request_alone() {
        let (session, mut theirs) = conversation(async { String::new() }).await;
        // One fact: replies of a server that speaks RESP, lists within lists.
        let nested = Response::Facts(vec![Ok(Fact::Resp(protocol::facts::RespFact::Replies {
            authenticated: false,
            replies: vec![protocol::facts::RespValue::List(Vec::new())],
        }))]);
        let encoded = frame::encode(&ToController {
            id: 0,
            response: nested,
        })
        .unwrap();
        // The discriminant of a list stands before its length.
        let (head, list) = (&encoded[5..encoded.len() - 2], encoded[encoded.len() - 2]);
        let mut response = head.to_vec();
        response.extend([list, 1].repeat(10_000));
        response.extend([list, 0]);
        let queries = vec![protocol::FactQuery::Os(protocol::facts::OsQuery)];
        let (asked, ()) = tokio::join!(session.gather(queries), answer(&mut theirs, &response));
        assert_eq!(asked, Err(SessionError::TooMuch(Exceeded::Depth)));
        let (asked, ()) = tokio::join!(session.gather(Vec::new()), async {
            let response = Response::Facts(Vec::new());
            let next = frame::encode(&ToController { id: 1, response }).unwrap();
            theirs.write_all(&next).await.unwrap();
        });
        assert_eq!(asked, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_a_request_that_was_not_made_ends_the_conversation() {
        let (session, mut theirs) = conversation(std::future::pending()).await;
        let (asked, ()) = tokio::join!(session.gather(Vec::new()), async {
            let response = Response::Ready;
            let unasked = frame::encode(&ToController { id: 9, response }).unwrap();
            // It repeats itself for as long as it is read.
            while theirs.write_all(&unasked).await.is_ok() {}
        });
        assert_eq!(asked, Err(lost("the agent answered a request that was not made")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_leaves_all_requests_unanswered_is_lost() {
        let (session, _theirs) = conversation(std::future::pending()).await;
        let why = format!("the agent has left {IN_FLIGHT} requests unanswered");
        let asked = (0..=IN_FLIGHT).map(|_| session.gather(Vec::new()));
        for answer in futures::future::join_all(asked).await {
            assert_eq!(answer, Err(lost(&why)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn long_words_of_an_agent_are_cut() {
        let (session, mut theirs) = conversation(async { "ä".repeat(10 << 20) }).await;
        let why = "x".repeat(10 << 20);
        let (asked, ()) = tokio::join!(session.gather(Vec::new()), async {
            let response = Response::Failed(why);
            let failed = frame::encode(&ToController { id: 0, response }).unwrap();
            theirs.write_all(&failed).await.unwrap();
        });
        let Err(SessionError::Refused(why)) = asked else {
            panic!("{asked:?}")
        };
        assert!(why.len() < 20 << 10);
        drop(theirs);
        let Err(SessionError::Lost(why)) = session.gather(Vec::new()).await else {
            panic!("it is not lost")
        };
        assert_eq!(why.len(), LAST_WORDS_LEN);
    }
}
