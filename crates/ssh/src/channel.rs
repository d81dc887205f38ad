//! The agent's stream over an SSH channel, and its last words.
//!
//! A channel carries standard output, standard error, the exit status and the end of each as messages in one queue. This
//! module sorts them: output to the reader, the tail of errors and the status to [`LastWords`]. A status may come before
//! the last output, so the queue is read until the channel is closed.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use russh::{ChannelMsg, ChannelReadHalf, Sig};
use tokio_util::io::StreamReader;

use crate::dial::{Connection, Ending};
use crate::error::excerpt;

/// How much of the standard error is kept.
const TAIL: usize = 8 << 10;
/// How long the exit status may come after the end of the output.
const STATUS_WITHIN: Duration = Duration::from_secs(5);

/// The agent's standard output.
pub(crate) type Output = StreamReader<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>, Bytes>;

/// What the far side had to say when the stream ended.
#[derive(Debug, Clone)]
pub(crate) struct LastWords {
    state: Arc<Mutex<State>>,
    connection: Ending,
}

#[derive(Debug, Default)]
struct State {
    stderr: VecDeque<u8>,
    exit: Option<Exit>,
    is_refused: bool,
    is_closed: bool,
}

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(u32),
    Signal(String),
}

impl LastWords {
    /// The tail of the standard error.
    pub(crate) fn stderr(&self) -> String {
        let mut state = self.lock();
        let text = String::from_utf8_lossy(state.stderr.make_contiguous());
        text.trim().to_owned()
    }

    /// How the process ended, if that was said.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.lock().exit.clone()
    }

    /// Whether the server would not run the command.
    pub(crate) fn is_refused(&self) -> bool {
        self.lock().is_refused
    }

    /// Whether the stream ended with the connection, and not with the process.
    pub(crate) fn is_lost(&self) -> bool {
        let state = self.lock();
        state.exit.is_none() && !state.is_closed && !state.is_refused
    }

    /// All of it in one line.
    pub(crate) fn describe(&self) -> String {
        let stderr = self.stderr();
        let how = match self.exit() {
            Some(Exit::Status(status)) => format!("exit status {status}"),
            Some(Exit::Signal(signal)) => format!("killed by signal {signal}"),
            None if self.is_lost() => match self.connection.reason() {
                Some(reason) => format!("connection lost: {reason}"),
                None => "connection lost".to_owned(),
            },
            None => "the server closed the channel".to_owned(),
        };
        if stderr.is_empty() {
            how
        } else {
            format!("{how}: {stderr}")
        }
    }

    fn take(&self, message: ChannelMsg) -> Next {
        let mut state = self.lock();
        match message {
            ChannelMsg::Data { data } => return Next::Output(data),
            ChannelMsg::ExtendedData { data, .. } => {
                state.stderr.extend(&data[data.len().saturating_sub(TAIL)..]);
                let over = state.stderr.len().saturating_sub(TAIL);
                state.stderr.drain(..over);
            }
            ChannelMsg::ExitStatus { exit_status } => state.exit = Some(Exit::Status(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                state.exit = Some(Exit::Signal(match signal_name {
                    Sig::Custom(name) => excerpt(&name),
                    known => format!("{known:?}"),
                }));
            }
            ChannelMsg::Failure => {
                state.is_refused = true;
                return Next::End;
            }
            ChannelMsg::Eof => return Next::StatusOnly,
            ChannelMsg::Close => {
                state.is_closed = true;
                return Next::End;
            }
            _ => {}
        }
        Next::More
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Output(Bytes),
    More,
    /// The output has ended; the status may follow.
    StatusOnly,
    End,
}

struct Source {
    messages: ChannelReadHalf,
    words: LastWords,
    has_ended: bool,
    /// The connection lives as long as somebody reads from it.
    _connection: Arc<Connection>,
}

impl Source {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            let message = if self.has_ended {
                let waiting = tokio::time::timeout(STATUS_WITHIN, self.messages.wait());
                waiting.await.ok().flatten()?
            } else {
                self.messages.wait().await?
            };
            match self.words.take(message) {
                Next::Output(data) => return Some((Ok(data), self)),
                Next::More => {}
                Next::StatusOnly => self.has_ended = true,
                Next::End => return None,
            }
        }
    }
}

/// Sorts a channel's messages.
pub(crate) fn sort(messages: ChannelReadHalf, connection: Arc<Connection>) -> (Output, LastWords) {
    let words = LastWords {
        state: Arc::default(),
        connection: connection.ending.clone(),
    };
    let source = Source {
        messages,
        words: words.clone(),
        has_ended: false,
        _connection: connection,
    };
    let stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> =
        Box::pin(futures::stream::unfold(source, Source::next));
    (StreamReader::new(stream), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_endless_errors_the_tail_is_kept() {
        let words = LastWords {
            state: Arc::default(),
            connection: Ending::default(),
        };
        let data = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..4 {
            let data = data.clone();
            assert!(matches!(
                words.take(ChannelMsg::ExtendedData { data, ext: 1 }),
                Next::More
            ));
            assert!(words.lock().stderr.capacity() <= 4 * TAIL);
        }
        let data = Bytes::from_static(b"the end");
        words.take(ChannelMsg::ExtendedData { data, ext: 1 });
        let kept = words.stderr();
        assert_eq!((kept.len(), kept.ends_with("xthe end")), (TAIL, true));
        words.take(ChannelMsg::ExitSignal {
            signal_name: Sig::Custom("y".repeat(1 << 20)),
            core_dumped: false,
            error_message: String::new(),
            lang_tag: String::new(),
        });
        assert!(words.describe().len() < 2 * TAIL, "{}", words.describe().len());
    }
}
