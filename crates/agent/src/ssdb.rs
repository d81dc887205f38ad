//! A client of servers that speak SSDB's protocol, for facts and for actions.

use std::time::Duration;

use protocol::facts::SsdbCommand;
use protocol::{Text, TextError};
use thiserror::Error;
use types::SecretId;
use zeroize::Zeroizing;

use crate::secrets::Secrets;
use crate::wire::{REPLY_LIMIT, Wire};

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
    wire: Wire,
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
        let mut connection = Self {
            wire: Wire::open(address, port, limit).map_err(SsdbError::Down)?,
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
        self.wire.send(&bytes).map_err(SsdbError::Down)?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Items, SsdbError> {
        let parse = |bytes: &[u8]| parse(bytes).map_err(str::to_owned);
        self.wire.reply(parse).map_err(SsdbError::Down)
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
