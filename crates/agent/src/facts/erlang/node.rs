//! A connection to a node: where it listens, the handshake, and calls.
//!
//! `erl_dist` speaks the protocol over futures' streams; here it runs over a blocking socket whose futures are always
//! ready, so that no runtime is needed. The socket collects what is written until an answer is waited for: the
//! protocol's small writes would otherwise wait for each other's acknowledgements, 40 ms a call.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use erl_dist::DistributionFlags;
use erl_dist::LOWEST_DISTRIBUTION_PROTOCOL_VERSION as VERSION;
use erl_dist::epmd::{DEFAULT_EPMD_PORT, EpmdClient};
use erl_dist::handshake::{ClientSideHandshake, HandshakeError, HandshakeStatus};
use erl_dist::message::{Message, Sender, channel};
use erl_dist::node::{Creation, LocalNode, NodeName};
use erl_dist::term::{Atom, List, Pid, Term, Tuple};
use futures::executor::block_on;
use futures::io::AllowStdIo;
use protocol::facts::{Silence, SilenceKind};
use thiserror::Error;

use super::scan::scan;
use crate::bounds::{REPLY, Share};
use crate::client::silence;
use crate::resolver::addresses;
use tree::error_text;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How long a connection on the same host may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Why a node did not answer.
#[derive(Debug, Error)]
pub(super) enum NodeError {
    /// No connection, or none any more.
    #[error("{0}")]
    Silent(Silence),
    /// The node does not accept our cookie.
    #[error("{0}")]
    Denied(String),
    /// The node runs, and could not be asked.
    #[error("{0}")]
    Failed(String),
}

/// A connection over which functions are called.
pub(super) struct Node {
    sender: Sender<AllowStdIo<Stream>>,
    /// The same connection: messages are scanned before they are decoded.
    stream: Stream,
    /// What we are called there.
    pid: Pid,
}

/// Asks epmd where a node of this host listens.
pub(super) fn find(node: &str, until: Instant) -> Result<SocketAddr, NodeError> {
    let name = parse(node)?;
    let epmd = Stream::connect(SocketAddr::new(LOOPBACK, DEFAULT_EPMD_PORT), until)
        .map_err(|error| silent("epmd", silence(&error)))?;
    let entry = block_on(EpmdClient::new(AllowStdIo::new(epmd)).get_node(name.name()))
        .map_err(|error| NodeError::Failed(format!("epmd: {error}")))?;
    match entry {
        None => Err(NodeError::Silent(Silence {
            kind: SilenceKind::Refused,
            words: format!("epmd has no node {}", name.name()),
        })),
        Some(entry) if entry.highest_version < VERSION => {
            let why = "it is older than Erlang/OTP 23, and does not speak this version of the protocol";
            Err(NodeError::Failed(why.to_owned()))
        }
        Some(entry) => Ok(SocketAddr::new(LOOPBACK, entry.port)),
    }
}

impl Node {
    /// Connects and proves to know the cookie.
    pub(super) fn connect(
        node: &str,
        address: SocketAddr,
        cookie: &str,
        until: Instant,
    ) -> Result<Self, NodeError> {
        let name = parse(node)?;
        let stream = open(&name, address, until)?;
        // The node gives us a name (NAME_ME); the part after the `@` says whether names are short or long.
        let placeholder = NodeName::new("nonode", name.host()).map_err(failed)?;
        let mut local = LocalNode::new(placeholder, Creation::random());
        local.flags |= DistributionFlags::NAME_ME;
        let mut handshake = ClientSideHandshake::new(AllowStdIo::new(stream), local.clone(), cookie);
        match block_on(handshake.execute_send_name(VERSION)).map_err(failed)? {
            HandshakeStatus::Named { name, creation } => {
                local.name = NodeName::new(&name, local.name.host()).map_err(failed)?;
                local.creation = creation;
            }
            status => {
                return Err(NodeError::Failed(format!(
                    "it answered {status:?} to the handshake"
                )));
            }
        }
        let (stream, peer) = block_on(handshake.execute_rest(true)).map_err(|error| refused(&error))?;
        let (sender, _) = channel(stream.clone(), local.flags & peer.flags);
        let pid = Pid::new(local.name.to_string(), 0, 0, local.creation.get());
        Ok(Self {
            sender,
            stream: stream.into_inner(),
            pid,
        })
    }

    /// Calls a function: the inner error is one of this call, after which others may succeed.
    pub(super) fn call(
        &mut self,
        module: Atom,
        function: Atom,
        args: List,
        share: &mut Share<'_>,
    ) -> Result<Result<Term, String>, NodeError> {
        let call = vec![
            Atom::from("call").into(),
            module.into(),
            function.into(),
            args.into(),
            Atom::from("user").into(),
        ];
        let request = Tuple::from(vec![self.pid.clone().into(), Tuple::from(call).into()]);
        let request = Message::reg_send(self.pid.clone(), Atom::from("rex"), request.into());
        block_on(self.sender.send(request)).map_err(failed)?;
        answer(&mut self.stream, share)
    }
}

/// Reads messages until one is the answer to a call.
pub(super) fn answer(
    stream: &mut impl Read,
    share: &mut Share<'_>,
) -> Result<Result<Term, String>, NodeError> {
    loop {
        let bytes = receive(stream, share)?;
        // A tick.
        if bytes.is_empty() {
            continue;
        }
        let scanned = scan(&bytes).and_then(|needed| share.grow(needed));
        if let Err(why) = scanned {
            return Ok(Err(why));
        }
        let message = match Message::read_from(&mut bytes.as_slice()) {
            Ok(Message::Send(message)) => message.message,
            Ok(Message::SendSender(message)) => message.message,
            Ok(_) => continue,
            Err(error) => return Ok(Err(format!("a term cannot be decoded: {error}"))),
        };
        if let Term::Tuple(reply) = message
            && let Ok([Term::Atom(tag), result]) = <[Term; 2]>::try_from(reply.elements)
            && tag.name == "rex"
        {
            return Ok(Ok(result));
        }
    }
}

/// The terms of the next message; none where it is a tick.
fn receive(stream: &mut impl Read, share: &mut Share<'_>) -> Result<Vec<u8>, NodeError> {
    /// What stands before the terms of all messages of these versions of the protocol.
    const PASS_THROUGH: u8 = 112;
    let mut len = [0; 4];
    stream.read_exact(&mut len).map_err(|error| lost(&error))?;
    let len = u32::from_be_bytes(len) as usize;
    if len > REPLY {
        return Err(NodeError::Failed("its answer is too long".to_owned()));
    }
    share.grow(len).map_err(NodeError::Failed)?;
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).map_err(|error| lost(&error))?;
    if !bytes.is_empty() && bytes.remove(0) != PASS_THROUGH {
        return Err(NodeError::Failed("it sent a message of another kind".to_owned()));
    }
    Ok(bytes)
}

fn lost(error: &io::Error) -> NodeError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => NodeError::Silent(silence(error)),
        _ => NodeError::Failed(error_text(error)),
    }
}

fn parse(node: &str) -> Result<NodeName, NodeError> {
    node.parse()
        .map_err(|error| NodeError::Failed(format!("{node:?} is not a node's name: {error}")))
}

/// The loopback address first; a node may listen on another one only (`inet_dist_use_interface`): where the kernel says that
/// somebody does, and on that which its name stands for.
fn open(name: &NodeName, address: SocketAddr, until: Instant) -> Result<Stream, NodeError> {
    let mut why = match Stream::connect(address, until) {
        Ok(stream) => return Ok(stream),
        Err(error) => silence(&error),
    };
    let others = listeners::addresses(address.port()).into_iter();
    for own in others.chain(addresses(name.host())) {
        match Stream::connect(SocketAddr::new(own, address.port()), until) {
            Ok(stream) => return Ok(stream),
            Err(error) if silence(&error).kind > why.kind => why = silence(&error),
            Err(_) => {}
        }
    }
    Err(silent(&format!("port {}", address.port()), why))
}

fn silent(at: &str, Silence { kind, words }: Silence) -> NodeError {
    NodeError::Silent(Silence {
        kind,
        words: format!("{at}: {words}"),
    })
}

/// Why the second part of the handshake failed. A node that does not take the cookie closes the connection without a word.
fn refused(error: &HandshakeError) -> NodeError {
    use io::ErrorKind::{ConnectionReset, UnexpectedEof};
    match error {
        HandshakeError::CookieMismatch => NodeError::Denied("the cookies differ".to_owned()),
        HandshakeError::Io(error) if matches!(error.kind(), UnexpectedEof | ConnectionReset) => {
            NodeError::Denied("it refused the cookie".to_owned())
        }
        error => NodeError::Failed(error.to_string()),
    }
}

fn failed(error: impl std::fmt::Display) -> NodeError {
    NodeError::Failed(error.to_string())
}

/// A socket that sends what was written when it is flushed or read from, and gives up at a point in time.
#[derive(Clone)]
struct Stream {
    socket: Arc<TcpStream>,
    unsent: Vec<u8>,
    until: Instant,
}

impl Stream {
    fn connect(address: SocketAddr, until: Instant) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket: Arc::new(socket),
            unsent: Vec::new(),
            until,
        })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not answer in time",
            ));
        }
        Ok(left)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        self.socket.set_read_timeout(Some(self.left()?))?;
        match (&*self.socket).read(buffer) {
            // A future that is not ready would be waited for without end.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not answer in time",
            )),
            read => read,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unsent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        self.socket.set_write_timeout(Some(self.left()?))?;
        let sent = (&*self.socket).write_all(&self.unsent);
        self.unsent.clear();
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "it did not read in time"))
            }
            sent => sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_node_that_listens_on_another_address_of_its_host_is_found() {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let at = SocketAddr::new(LOOPBACK, listener.local_addr().unwrap().port());
        let name = parse("rabbit@localhost").unwrap();
        let opened = open(&name, at, Instant::now() + CONNECT_LIMIT);
        assert!(opened.is_ok());
    }
}
