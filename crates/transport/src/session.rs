//! The conversation with one agent.
//!
//! Requests may be made from many tasks at once: each gets a number, one task writes frames, another reads them and
//! hands each answer to who waits for its number. When the stream ends, everybody who still waits is told why,
//! in the far side's own words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::frame::{self, Decoder, FrameError};
use protocol::{
    Action, ActionError, Change, Fact, FactError, FactQuery, Hello, LockHolder, Request, RequestId,
};
use protocol::{Response, SecretValue, ToAgent, ToController, VERSION};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use types::{Secret, SecretId};

use crate::AgentStream;

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
    #[error("the agent could not: {0}")]
    Refused(String),
    /// The agent answered something else than was asked: a defect.
    #[error("the agent's answer does not fit the request")]
    Unexpected,
    /// The request does not encode: a defect.
    #[error("the request cannot be sent")]
    Encode(#[source] FrameError),
}

/// A conversation with an agent. Cheap to clone; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    hello: Hello,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    next: RequestId,
    waiting: HashMap<RequestId, oneshot::Sender<Response>>,
    /// Why the stream ended, once it has.
    ended: Option<String>,
}

impl Session {
    /// Reads the agent's greeting and starts the conversation.
    pub async fn start(stream: AgentStream) -> Result<Self, SessionError> {
        let AgentStream {
            mut reader,
            writer,
            epilogue,
        } = stream;
        let mut decoder = Decoder::default();
        let hello = match read_message::<Hello>(&mut reader, &mut decoder).await {
            Ok(Some(hello)) => hello,
            Ok(None) => return Err(SessionError::Lost(epilogue.await)),
            Err(why) => return Err(SessionError::Lost(why)),
        };
        if hello.version != VERSION {
            return Err(SessionError::Version {
                theirs: hello.version,
            });
        }
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (outgoing, queue) = mpsc::unbounded_channel();
        tokio::spawn(write_frames(writer, queue));
        let answers = Arc::clone(&pending);
        tokio::spawn(async move {
            let why = match read_answers(reader, decoder, &answers).await {
                Ok(()) => epilogue.await,
                Err(why) => why,
            };
            let mut pending = lock(&answers);
            pending.ended = Some(why);
            pending.waiting.clear();
        });
        Ok(Self {
            inner: Arc::new(Inner {
                hello,
                outgoing,
                pending,
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

    /// Sends a request and waits for its answer.
    pub async fn request(&self, request: Request) -> Result<Response, SessionError> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut pending = lock(&self.inner.pending);
            if let Some(why) = &pending.ended {
                return Err(SessionError::Lost(why.clone()));
            }
            let id = pending.next;
            pending.next = pending.next.wrapping_add(1);
            pending.waiting.insert(id, sender);
            id
        };
        let frame = frame::encode(&ToAgent { id, request }).map_err(SessionError::Encode)?;
        // A closed queue means that the writer saw the stream end; the reader tells why, below.
        let _closed = self.inner.outgoing.send(frame).is_err();
        match answer.await {
            Ok(Response::Failed(why)) => Err(SessionError::Refused(why)),
            Ok(response) => Ok(response),
            Err(_) => {
                let ended = lock(&self.inner.pending).ended.clone();
                Err(SessionError::Lost(ended.unwrap_or_default()))
            }
        }
    }

    /// Hands over secrets that later requests name.
    pub async fn hand_over(&self, secrets: &[(SecretId, Secret)]) -> Result<(), SessionError> {
        let secrets = secrets
            .iter()
            .map(|(id, value)| (id.clone(), SecretValue(value.clone())))
            .collect();
        match self.request(Request::Secrets(secrets)).await? {
            Response::Ready => Ok(()),
            _ => Err(SessionError::Unexpected),
        }
    }

    /// Takes the host's run lock; the answer is who else holds it.
    pub async fn take_lock(&self, holder: LockHolder) -> Result<Option<LockHolder>, SessionError> {
        match self.request(Request::Lock(holder)).await? {
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
            Response::Facts(facts) if facts.len() == asked => Ok(facts),
            _ => Err(SessionError::Unexpected),
        }
    }

    /// Makes a change.
    pub async fn act(&self, action: Action) -> Result<Result<Change, ActionError>, SessionError> {
        match self.request(Request::Act(Box::new(action))).await? {
            Response::Acted(result) => Ok(result),
            _ => Err(SessionError::Unexpected),
        }
    }
}

/// A lock that cannot be poisoned in a way that matters: nothing panics while holding it.
fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_frames(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
            // The reader sees the same end, and has the words for it.
            return;
        }
    }
    if let Err(error) = writer.shutdown().await {
        tracing::debug!(%error, "closing the stream to the agent");
    }
}

async fn read_answers(
    mut reader: impl AsyncRead + Unpin,
    mut decoder: Decoder,
    pending: &Mutex<Pending>,
) -> Result<(), String> {
    while let Some(ToController { id, response }) = read_message(&mut reader, &mut decoder).await? {
        let waiting = lock(pending).waiting.remove(&id);
        if let Some(waiting) = waiting {
            // Who waited may have given up meanwhile.
            drop(waiting.send(response));
        } else {
            tracing::warn!(id, "the agent answered what nobody asked");
        }
    }
    Ok(())
}

/// The next message; `None` where the stream ended.
async fn read_message<T: serde::de::DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<Option<T>, String> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if let Some(message) = decoder.next().map_err(|error| error.to_string())? {
            return Ok(Some(message));
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return Ok(None),
            Ok(read) => decoder.push(&buffer[..read]),
            Err(error) => return Err(error.to_string()),
        }
    }
}
