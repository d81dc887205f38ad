//! A connection to a server that ends in time, however slowly the other side reads or writes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use protocol::facts::{Silence, SilenceKind, THIS_HOST};

use crate::bounds::Time;
use crate::client::silence;
use crate::resolver;

/// How long one address may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// The connection.
pub(crate) struct Stream {
    socket: TcpStream,
    time: Time,
}

impl Stream {
    /// Connects.
    pub(crate) fn open(address: &str, port: u16, time: Time) -> Result<Self, Silence> {
        let socket = connect(address, port, time)?;
        socket.set_nodelay(true).map_err(|error| silence(&error))?;
        Ok(Self { socket, time })
    }

    fn next(&self) -> io::Result<Duration> {
        self.time.next().ok_or_else(late)
    }
}

/// Connects to the first address of a host that answers. Nobody listens there only where all addresses refuse.
pub(crate) fn connect(host: &str, port: u16, time: Time) -> Result<TcpStream, Silence> {
    let (addresses, none) = if host == THIS_HOST {
        let words = format!("nobody listens on port {port}");
        let kind = SilenceKind::Refused;
        (listeners::addresses(port), Silence { kind, words })
    } else {
        let words = format!("{host} does not resolve");
        (resolver::addresses(host), Silence::no_answer(words))
    };
    let mut why: Option<Silence> = None;
    for address in addresses {
        let Some(left) = time.next() else {
            return Err(silence(&late()));
        };
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), left.min(LIMIT)) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                let found = silence(&error);
                why = why.filter(|why| why.kind > found.kind).or(Some(found));
            }
        }
    }
    Err(why.unwrap_or(none))
}

fn late() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it did not answer in time")
}

/// How a time limit of a socket shows.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => late(),
        _ => error,
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.next()?))?;
        self.socket.read(buffer).map_err(in_words)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.next()?))?;
        self.socket.write(bytes).map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
