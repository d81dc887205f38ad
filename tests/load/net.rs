//! A connection to a server with a time limit, and a list of servers that are tried in turn.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use crate::run::LIMIT;

/// A connection over which requests and answers take turns.
pub(crate) struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Wire {
    pub(crate) fn open(address: IpAddr, port: u16) -> Result<Self, String> {
        let address = SocketAddr::new(address, port);
        let stream = TcpStream::connect_timeout(&address, LIMIT).map_err(said)?;
        stream.set_nodelay(true).map_err(said)?;
        stream.set_write_timeout(Some(LIMIT)).map_err(said)?;
        stream.set_read_timeout(Some(LIMIT)).map_err(said)?;
        Ok(Self {
            stream,
            bytes: Vec::new(),
        })
    }

    /// Sends a request and reads until an answer is complete. `parse` has the answer and its length, or needs more.
    pub(crate) fn ask<T>(
        &mut self,
        request: &[u8],
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, String>,
    ) -> Result<T, String> {
        let until = Instant::now() + LIMIT;
        self.stream.write_all(request).map_err(said)?;
        loop {
            if let Some((answer, length)) = parse(&self.bytes)? {
                self.bytes.drain(..length);
                return Ok(answer);
            }
            if Instant::now() > until {
                return Err("no answer in time".to_owned());
            }
            let mut part = [0; 16_384];
            match self.stream.read(&mut part).map_err(said)? {
                0 => return Err("closed by the server".to_owned()),
                length => self.bytes.extend_from_slice(&part[..length]),
            }
        }
    }

    /// Sends a request and reads a line.
    pub(crate) fn line(&mut self, request: &[u8]) -> Result<String, String> {
        self.ask(request, |bytes| {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            Ok(end.map(|end| (String::from_utf8_lossy(&bytes[..end]).trim().to_owned(), end + 1)))
        })
    }
}

/// An error in its words, as clients count them.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(crate) fn said(error: impl ToString) -> String {
    error.to_string()
}

/// Keeps what is connected until it fails, and then goes to the next member.
pub(crate) struct Turn<C> {
    at: usize,
    connection: Option<C>,
}

impl<C> Turn<C> {
    pub(crate) fn new(first: usize) -> Self {
        Self {
            at: first,
            connection: None,
        }
    }

    /// Does something over the connection. It is opened where there is none: `open` gets the number of the try, which
    /// counts on after each failure.
    pub(crate) fn with<T>(
        &mut self,
        open: impl FnOnce(usize) -> Result<C, String>,
        request: impl FnOnce(&mut C) -> Result<T, String>,
    ) -> Result<T, String> {
        let result = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => open(self.at),
        };
        let result = result.and_then(|mut connection| {
            let answer = request(&mut connection)?;
            self.connection = Some(connection);
            Ok(answer)
        });
        if result.is_err() {
            self.at += 1;
        }
        result
    }
}
