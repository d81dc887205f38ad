//! A client of servers that speak RESP, for facts and for actions.
//!
//! The bytes are coded by `redis-protocol`; what is here is the conversation: a connection with time limits, AUTH and
//! what the servers' answers to it mean, and commands whose arguments may hold secrets. The decoder recurses and
//! believes what a reply says of its own length, so it gets to see only replies that were scanned.

mod scan;

use protocol::TextError;
use protocol::facts::{RespCommand, Silence};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode::encode_borrowed;
use redis_protocol::resp2::types::{BorrowedFrame, OwnedFrame};
use secrets::{Secrets, append};
use types::SecretId;
use zeroize::Zeroizing;

use self::scan::Reply;
use crate::bounds::{Share, Time};
use crate::client::ClientError;
use crate::wire::{self, Wire};

/// A connection to a server.
pub(crate) struct Connection {
    wire: Wire,
    /// Whether the server took our password; not where it has none, or none was named.
    pub(crate) authenticated: bool,
}

/// What AUTH came to.
#[derive(Debug, PartialEq, Eq)]
enum Auth {
    Accepted,
    /// The server has no password.
    NotNeeded,
    Denied,
    /// The connection failed for another reason.
    Failed,
}

impl Connection {
    /// Connects, and authenticates where a password is named.
    pub(crate) fn open(
        secrets: &Secrets,
        address: &str,
        port: u16,
        password: Option<&SecretId>,
        time: Time,
        share: &mut Share<'_>,
    ) -> Result<Self, ClientError> {
        let mut connection = Self {
            wire: Wire::open(address, port, time)?,
            authenticated: false,
        };
        if let Some(id) = password {
            connection.authenticate(secrets, id, share)?;
        }
        Ok(connection)
    }

    fn authenticate(
        &mut self,
        secrets: &Secrets,
        id: &SecretId,
        share: &mut Share<'_>,
    ) -> Result<(), ClientError> {
        let password = secrets
            .get(id)
            .ok_or_else(|| TextError::UnknownSecret(id.clone()))?;
        self.send(&[&[b"AUTH", password.expose().as_bytes()]])?;
        let reply = self.reply(share)?;
        match judge(&reply) {
            Auth::Accepted => self.authenticated = true,
            Auth::NotNeeded => {}
            Auth::Denied => return Err(ClientError::Denied(error_text(reply))),
            Auth::Failed => return Err(Silence::foreign(error_text(reply)).into()),
        }
        Ok(())
    }

    /// Sends commands all at once and reads their replies.
    pub(crate) fn ask(
        &mut self,
        secrets: &Secrets,
        commands: &[RespCommand],
        share: &mut Share<'_>,
    ) -> Result<Vec<OwnedFrame>, ClientError> {
        let mut revealed = Vec::with_capacity(commands.len());
        for command in commands {
            let args = command.args.iter().map(|arg| secrets.reveal(arg, &[]));
            revealed.push(args.collect::<Result<Vec<_>, _>>()?);
        }
        let borrowed: Vec<Vec<&[u8]>> = revealed
            .iter()
            .map(|args| args.iter().map(|arg| arg.as_slice()).collect())
            .collect();
        let borrowed: Vec<&[&[u8]]> = borrowed.iter().map(Vec::as_slice).collect();
        self.send(&borrowed)?;
        commands.iter().map(|_| self.reply(share)).collect()
    }

    fn send(&mut self, commands: &[&[&[u8]]]) -> Result<(), ClientError> {
        let mut bytes = Zeroizing::new(Vec::new());
        for args in commands {
            let args: Vec<BorrowedFrame<'_>> =
                args.iter().map(|arg| BorrowedFrame::BulkString(arg)).collect();
            let command = BorrowedFrame::Array(&args);
            let start = bytes.len();
            append(&mut bytes, &vec![0; command.encode_len(false)]);
            encode_borrowed(&mut bytes[start..], &command, false)
                .map_err(|error| ClientError::Limit(error.to_string()))?;
        }
        Ok(self.wire.send(&bytes)?)
    }

    fn reply(&mut self, share: &mut Share<'_>) -> Result<OwnedFrame, ClientError> {
        self.wire.reply::<Reply, _>(share, decoded)
    }
}

/// A reply that was scanned.
fn decoded(bytes: &[u8]) -> Result<OwnedFrame, String> {
    match decode(bytes) {
        Ok(Some((frame, _))) => Ok(frame),
        Ok(None) | Err(_) => Err(scan::NO_RESP.to_owned()),
    }
}

/// The first reply in what was received, and its length; for the fuzz targets.
pub(crate) fn first(received: &[u8], share: &mut Share<'_>) -> Result<Option<(OwnedFrame, usize)>, String> {
    wire::first::<Reply, _>(received, share, decoded)
}

fn judge(reply: &OwnedFrame) -> Auth {
    let OwnedFrame::Error(text) = reply else {
        return Auth::Accepted;
    };
    // Redis since 6, and all before it and Kvrocks; a sentinel before 5 has no such command.
    let not_needed = [
        "without any password configured",
        "no password is set",
        "unknown command",
    ];
    if not_needed.iter().any(|words| text.contains(words)) {
        Auth::NotNeeded
    } else if is_denial(text) {
        Auth::Denied
    } else {
        Auth::Failed
    }
}

/// Whether an error says that a password is wrong or missing.
pub(crate) fn is_denial(text: &str) -> bool {
    let begins = ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED"];
    begins.iter().any(|word| text.starts_with(word)) || text.to_ascii_lowercase().contains("invalid password")
}

fn error_text(reply: OwnedFrame) -> String {
    match reply {
        OwnedFrame::Error(text) => text,
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_auth_are_understood_across_servers() {
        let cases = [
            (
                "ERR AUTH <password> called without any password configured for the default user. Are you sure?",
                Auth::NotNeeded,
            ),
            ("ERR Client sent AUTH, but no password is set", Auth::NotNeeded),
            ("ERR unknown command 'AUTH'", Auth::NotNeeded),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Auth::Denied,
            ),
            ("ERR invalid password", Auth::Denied),
            ("ERR Invalid password", Auth::Denied),
            ("DENIED Redis is running in protected mode", Auth::Denied),
            ("ERR max number of clients reached", Auth::Failed),
        ];
        for (text, meaning) in cases {
            assert_eq!(judge(&OwnedFrame::Error(text.to_owned())), meaning, "{text}");
        }
        assert_eq!(judge(&OwnedFrame::SimpleString(b"OK".to_vec())), Auth::Accepted);
    }
}
