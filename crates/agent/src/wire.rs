//! A connection to a server whose replies end where their own text says: what RESP and SSDB's protocol share.
//!
//! It keeps time limits and a bound on what is received, wipes what it held, and says what went wrong in words.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::facts::connect;
use crate::words::words;

/// A longer reply is no answer to a question of ours.
pub(crate) const REPLY_LIMIT: usize = 16 << 20;

/// The connection, and what came in and was not read yet.
pub(crate) struct Wire {
    stream: TcpStream,
    received: Zeroizing<Vec<u8>>,
}

impl Wire {
    /// Connects; reads and writes end within the limit.
    pub(crate) fn open(address: &str, port: u16, limit: Duration) -> Result<Self, String> {
        let stream = connect(address, port)?;
        let set = || -> Result<(), Error> {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_write_timeout(Some(limit))
        };
        set().map_err(|error| words(&error))?;
        Ok(Self {
            stream,
            received: Zeroizing::default(),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| self.lost(&error))
    }

    /// Reads until `parse` finds a whole reply, and its length.
    pub(crate) fn reply<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, String>,
    ) -> Result<T, String> {
        let mut buffer = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            if let Some((reply, used)) = parse(&self.received)? {
                self.received.drain(..used);
                return Ok(reply);
            }
            if self.received.len() > REPLY_LIMIT {
                return Err("its reply is too long".to_owned());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    fn lost(&self, error: &Error) -> String {
        // How a read time limit shows.
        if error.kind() == ErrorKind::WouldBlock {
            let limit = self.stream.read_timeout().ok().flatten().unwrap_or_default();
            return format!("it did not answer within {} ms", limit.as_millis());
        }
        words(error)
    }
}
