//! A transport that keeps every byte that goes to a host: for tests of what must not be among them.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use types::HostName;

use crate::{AgentStream, BoxFuture, ConnectError, Transport};

/// Another transport, with ears.
#[derive(Clone)]
pub struct Tap {
    inner: Arc<dyn Transport>,
    heard: Heard,
}

type Heard = Arc<Mutex<BTreeMap<HostName, Vec<u8>>>>;

impl Tap {
    /// Listens to what goes over a transport.
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self {
            inner,
            heard: Arc::default(),
        }
    }

    /// Everything that went to a host, over all of its connections.
    pub fn heard(&self, host: &HostName) -> Vec<u8> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(host).cloned().unwrap_or_default()
    }
}

impl Transport for Tap {
    fn open<'a>(&'a self, host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        Box::pin(async move {
            let stream = self.inner.open(host).await?;
            Ok(AgentStream {
                writer: Box::new(Ear {
                    inner: stream.writer,
                    host: host.clone(),
                    heard: Arc::clone(&self.heard),
                }),
                ..stream
            })
        })
    }
}

/// The writing side of one connection.
struct Ear {
    inner: Box<dyn AsyncWrite + Send + Unpin>,
    host: HostName,
    heard: Heard,
}

impl AsyncWrite for Ear {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let all = heard.entry(self.host.clone()).or_default();
            all.extend_from_slice(bytes.get(..written).unwrap_or(bytes));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
