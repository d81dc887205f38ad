//! A client of servers that speak SSDB's protocol, for facts and for actions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use protocol::facts::SsdbCommand;
use protocol::{Text, TextError};
use thiserror::Error;
use types::SecretId;
use zeroize::Zeroizing;

use crate::facts::connect;
use crate::secrets::Secrets;
use crate::words::words;

/// A longer reply is no answer to a question of ours.
const REPLY_LIMIT: usize = 16 << 20;

/// A reply: its items as they came.
pub(crate) type Items = Vec<Zeroizing<Vec<u8>>>;

/// Why a server did not answer.
#[derive(Debug, Error)]
pub(crate) enum SsdbError {
    /// No connection, or none any more; and why.
    #[error("{0}")]
    Down(String),
    /// The password is wrong, or missing; in the server's words.
    #[error("the server denied access: {0}")]
    Denied(String),
    /// A command cannot be put together.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Zeroizing<Vec<u8>>,
    /// Whether the server asks for a password. It says "ok" to any password where it has none.
    pub(crate) asks_password: bool,
}

impl Connection {
    /// Connects, and authenticates where a password is named.
    pub(crate) fn open(
        secrets: &Secrets,
        address: &str,
        port: u16,
        password: Option<&SecretId>,
        limit: Duration,
    ) -> Result<Self, SsdbError> {
        let down = |error: std::io::Error| SsdbError::Down(words(&error));
        let stream = connect(address, port).map_err(SsdbError::Down)?;
        stream.set_nodelay(true).map_err(down)?;
        stream.set_read_timeout(Some(limit)).map_err(down)?;
        stream.set_write_timeout(Some(limit)).map_err(down)?;
        let mut connection = Self {
            stream,
            received: Zeroizing::default(),
            asks_password: false,
        };
        let first = connection.exchange(&[Text::new("ping")], secrets)?;
        connection.asks_password = status(&first) == "noauth";
        match password {
            Some(id) => connection.authenticate(secrets, id)?,
            None if connection.asks_password => return Err(SsdbError::Denied(said(&first))),
            None => {}
        }
        Ok(connection)
    }

    fn authenticate(&mut self, secrets: &Secrets, id: &SecretId) -> Result<(), SsdbError> {
        let reply = self.exchange(&[Text::new("auth"), Text::secret(id)], secrets)?;
        match status(&reply) {
            "ok" => Ok(()),
            "error" | "noauth" | "client_error" => Err(SsdbError::Denied(said(&reply))),
            _ => Err(SsdbError::Down(said(&reply))),
        }
    }

    /// Sends a command and reads its reply.
    pub(crate) fn ask(&mut self, secrets: &Secrets, command: &SsdbCommand) -> Result<Items, SsdbError> {
        let reply = self.exchange(&command.args, secrets)?;
        match status(&reply) {
            "noauth" => Err(SsdbError::Denied(said(&reply))),
            _ => Ok(reply),
        }
    }

    fn exchange(&mut self, args: &[Text], secrets: &Secrets) -> Result<Items, SsdbError> {
        let mut bytes = Zeroizing::new(Vec::new());
        for arg in args {
            let arg = secrets.reveal(arg, &[])?;
            bytes.extend_from_slice(arg.len().to_string().as_bytes());
            bytes.push(b'\n');
            bytes.extend_from_slice(&arg);
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        self.stream.write_all(&bytes).map_err(|error| self.lost(&error))?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Items, SsdbError> {
        let mut buffer = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            match parse(&self.received) {
                Ok(Some((items, used))) => {
                    self.received.drain(..used);
                    return Ok(items);
                }
                Ok(None) => {}
                Err(why) => return Err(SsdbError::Down(why.to_owned())),
            }
            if self.received.len() > REPLY_LIMIT {
                return Err(SsdbError::Down("its reply is too long".to_owned()));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(SsdbError::Down("it closed the connection".to_owned())),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    fn lost(&self, error: &std::io::Error) -> SsdbError {
        // How a read time limit shows.
        if error.kind() == std::io::ErrorKind::WouldBlock {
            let limit = self.stream.read_timeout().ok().flatten().unwrap_or_default();
            return SsdbError::Down(format!("it did not answer within {} ms", limit.as_millis()));
        }
        SsdbError::Down(words(error))
    }
}

/// The status of a reply.
pub(crate) fn status(reply: &Items) -> &str {
    reply
        .first()
        .and_then(|item| std::str::from_utf8(item).ok())
        .unwrap_or_default()
}

/// A reply as one line.
pub(crate) fn said(reply: &Items) -> String {
    let items: Vec<_> = reply.iter().map(|item| String::from_utf8_lossy(item)).collect();
    items.join(": ")
}

/// The first message in the bytes, and how many of them it takes; `None` where it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Items, usize)>, &'static str> {
    const NO_SSDB: &str = "it does not speak SSDB's protocol";
    let mut items = Items::new();
    let mut at = 0;
    loop {
        let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') else {
            // The length of an item has few digits.
            return if bytes.len() - at > 20 {
                Err(NO_SSDB)
            } else {
                Ok(None)
            };
        };
        let line = bytes[at..at + end]
            .strip_suffix(b"\r")
            .unwrap_or(&bytes[at..at + end]);
        at += end + 1;
        if line.is_empty() {
            // Empty lines before a message mean nothing.
            if items.is_empty() {
                continue;
            }
            return Ok(Some((items, at)));
        }
        let len: usize = std::str::from_utf8(line)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .filter(|&len| len <= REPLY_LIMIT)
            .ok_or(NO_SSDB)?;
        let Some(item) = bytes.get(at..at + len) else {
            return Ok(None);
        };
        items.push(Zeroizing::new(item.to_vec()));
        at += len;
        match bytes.get(at..) {
            Some([b'\n', ..]) => at += 1,
            Some([b'\r', b'\n', ..]) => at += 2,
            Some([] | [b'\r']) | None => return Ok(None),
            Some(_) => return Err(NO_SSDB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Result<Option<(Vec<String>, usize)>, &'static str> {
        let parsed = parse(bytes)?;
        Ok(parsed.map(|(items, used)| {
            let items = items
                .iter()
                .map(|item| String::from_utf8_lossy(item).into_owned());
            (items.collect(), used)
        }))
    }

    #[test]
    fn a_message_ends_with_an_empty_line() {
        let message = b"2\nok\n3\na\nb\n0\n\n\n2\nok\n\n";
        let first = vec!["ok".to_owned(), "a\nb".to_owned(), String::new()];
        assert_eq!(texts(message).unwrap(), Some((first, 15)));
        for cut in 0..15 {
            assert_eq!(texts(&message[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn carriage_returns_are_taken() {
        assert_eq!(
            texts(b"2\r\nok\r\n\r\n").unwrap(),
            Some((vec!["ok".to_owned()], 9))
        );
    }

    #[test]
    fn other_protocols_are_told_apart() {
        for other in [
            &b"-ERR unknown command\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\n",
            b"2\nokay\n\n",
            b"99999999999999\n",
        ] {
            assert!(texts(other).is_err());
        }
    }
}
