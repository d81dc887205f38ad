//! The conversation: frames in, frames out, until the input ends.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::bounds;
use protocol::frame::{self, Decoder, FrameError, Message as _};
use protocol::{
    Hello, LockHolder, Request, RequestId, Response, SILENCE, Sealed, ToAgent, ToController, VERSION,
};
use sealing::KeyPair;
use thiserror::Error;

use crate::bounds::Share;
use crate::host::{Host, Options, Work};
use crate::lock::{self, RunLock, Taken};
use crate::mutex::locked;
use crate::pool::Pool;
use crate::redact::redact;
use crate::{actions, facts};

/// How many requests are served at once.
const REQUESTS: usize = 32;
/// What stands around the answers in a frame.
const AROUND: usize = 1 << 10;
/// How long facts that are being gathered when the connection ends may take to stop the processes that they started.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the conversation ended otherwise than by the end of the input.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The input cannot be read.
    #[error("cannot read requests")]
    Read(#[source] io::Error),
    /// Nothing came for so long that the controller must be gone.
    #[error("nothing was heard of the controller for {} s", SILENCE.as_secs())]
    Silent,
    /// The input holds something else than frames.
    #[error("the input is not made of a controller's frames")]
    Frame(#[source] FrameError),
}

/// Greets the controller and serves its requests until the input ends, or times out as a [`crate::Listener`] does. Then
/// nothing new starts; actions that run are carried on to their next safe point before this returns, facts are abandoned.
pub fn serve(
    mut reader: impl Read,
    writer: impl Write + Send + 'static,
    options: Options,
) -> Result<(), ServeError> {
    let agent = Arc::new(Agent {
        host: Host::new(options),
        pool: Pool::new(REQUESTS),
        writer: Mutex::new(writer),
        lock: Mutex::default(),
        keys: KeyPair::generate(),
    });
    agent.send(frame::encode(&Hello {
        version: VERSION,
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        key: agent.keys.public(),
    }));
    let ended = agent.read_requests(&mut reader);
    agent.host.close(PATIENCE);
    ended
}

struct Agent<W> {
    host: Host,
    pool: Arc<Pool>,
    writer: Mutex<W>,
    /// Held until the process ends.
    lock: Mutex<Option<RunLock>>,
    /// What secrets are sealed with, for this process alone.
    keys: KeyPair,
}

impl<W: Write + Send + 'static> Agent<W> {
    fn read_requests(self: &Arc<Self>, reader: &mut impl Read) -> Result<(), ServeError> {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            while let Some(ToAgent { id, request }) = decoder.next().map_err(ServeError::Frame)? {
                self.take(id, request);
            }
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => decoder.push(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(ServeError::Silent),
                Err(error) => return Err(ServeError::Read(error)),
            }
        }
    }

    /// Serves what takes no time at once, so that it holds for all requests that come after it; the rest on threads.
    fn take(self: &Arc<Self>, id: RequestId, request: Request) {
        match request {
            Request::Secrets(sealed) => self.answer(id, self.learn(&sealed)),
            Request::Lock { holder, had_lock } => self.answer(id, self.take_lock(&holder, had_lock)),
            Request::Gather(queries) => self.start(id, Work::Facts, move |host| {
                let (answers, held) = facts::gather(host, &queries);
                (Response::Facts(answers), Some(held))
            }),
            Request::Heartbeat => {}
            Request::Act(request) => self.start(id, Work::Action, move |host| {
                (actions::act_once(host, &request), None)
            }),
        }
    }

    fn start(
        self: &Arc<Self>,
        id: RequestId,
        work: Work,
        serve: impl FnOnce(&Host) -> (Response, Option<Share<'_>>) + Send + 'static,
    ) {
        let agent = Arc::clone(self);
        self.pool.submit(move || {
            // `None`: the connection ended before the request had its turn; nobody waits for an answer.
            // An answer may be abandoned, where what was done for it may not: nobody may read it any more.
            let _done = agent.host.run(Work::Facts, || {
                let served = agent.host.run(work, || serve(&agent.host));
                if let Some((response, _held)) = served {
                    agent.answer(id, response);
                }
            });
        });
    }

    fn learn(&self, sealed: &Sealed) -> Response {
        match self.keys.open(sealed) {
            Ok(secrets) => {
                self.host.learn(secrets);
                Response::Ready
            }
            Err(error) => Response::Failed(error.to_string()),
        }
    }

    fn take_lock(&self, holder: &LockHolder, had_lock: bool) -> Response {
        let mut held = locked(&self.lock);
        if held.is_some() {
            return Response::Locked;
        }
        match lock::take(&self.host.options.lock, holder, had_lock) {
            Ok(Taken::Ours(lock)) => {
                self.host.keep_record(Arc::clone(&lock.record));
                *held = Some(lock);
                Response::Locked
            }
            Ok(Taken::Theirs(other)) => Response::LockedBy(other),
            Err(error) => Response::Failed(error.to_string()),
        }
    }

    fn answer(&self, id: RequestId, mut response: Response) {
        redact(&mut response, &self.host.secrets());
        response.cut_messages();
        if let Response::Facts(answers) = &mut response {
            bounds::fit(
                answers,
                ToController::LONGEST - AROUND,
                ToController::LIMITS.bytes,
            );
        }
        let frame = frame::encode(&ToController { id, response }).or_else(|error| {
            // What cannot be sent still gets an answer: nobody must wait for ever.
            let response = Response::Failed(error.to_string());
            frame::encode(&ToController { id, response })
        });
        self.send(frame);
    }

    /// Sends a frame. A controller that is gone hears nothing; the end of the input tells the same.
    fn send(&self, frame: Result<Vec<u8>, FrameError>) {
        if let Ok(frame) = frame {
            let mut writer = locked(&self.writer);
            let _sent = writer.write_all(&frame).and_then(|()| writer.flush()).is_ok();
        }
    }
}
