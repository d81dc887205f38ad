//! A TCP connection that acknowledges at once.
//!
//! OpenSSH's server leaves Nagle's algorithm on for sessions without a terminal: of two small packets in a row, the second
//! waits until the first is acknowledged. Linux delays an acknowledgement by 40 ms in the hope of data to send along.
//! Opening a session and starting a command each run into that. The remedy on our side is to acknowledge at
//! once, which the kernel forgets again and has to be told after each read.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// The connection.
pub(crate) struct Socket(TcpStream);

impl Socket {
    /// Connects to an address, from one of this machine's where that is said.
    pub(crate) async fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<Self> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // Before connecting: our own small packets must not wait for each other either.
        socket.set_nodelay(true)?;
        if let Some(from) = from {
            socket.bind(from)?;
        }
        let stream = socket.connect(address).await?;
        acknowledge_at_once(&stream);
        Ok(Self(stream))
    }
}

fn acknowledge_at_once(stream: &TcpStream) {
    // Without it, things are only slower.
    let _supported = set_tcp_quickack(stream, true);
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if read.is_ready() {
            acknowledge_at_once(&self.0);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
