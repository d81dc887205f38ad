//! Replies of a server that speaks RESP, without the secrets in them.

use protocol::facts::{RespCommand, RespFact, RespQuery, RespValue};
use protocol::{FactError, Text};
use redis_protocol::resp2::types::OwnedFrame;
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::client::ClientError;
use crate::resp::{Connection, is_denial};

pub(super) fn observe(
    secrets: &Secrets,
    query: &RespQuery,
    share: &mut Share<'_>,
) -> Result<RespFact, FactError> {
    ask(secrets, query, share).or_else(|error| match error {
        ClientError::Silent(silence) => Ok(RespFact::Down(silence)),
        ClientError::Denied(why) => Ok(RespFact::Denied(why)),
        error => Err(unknown(error)),
    })
}

fn ask(secrets: &Secrets, query: &RespQuery, share: &mut Share<'_>) -> Result<RespFact, ClientError> {
    let password = query.password.as_ref();
    let time = Time::of_server();
    let mut connection = Connection::open(secrets, &query.address, query.port, password, time, share)?;
    let frames = connection.ask(secrets, &query.commands, share)?;
    for frame in &frames {
        if let OwnedFrame::Error(text) = frame
            && is_denial(text)
        {
            return Err(ClientError::Denied(text.clone()));
        }
    }
    let replies = query.commands.iter().zip(frames);
    Ok(RespFact::Replies {
        authenticated: connection.authenticated,
        replies: replies
            .map(|(command, frame)| value(secrets, command, frame))
            .collect(),
    })
}

pub(super) fn value(secrets: &Secrets, command: &RespCommand, frame: OwnedFrame) -> RespValue {
    match frame {
        OwnedFrame::Null => RespValue::Nil,
        OwnedFrame::Integer(number) => RespValue::Int(number),
        OwnedFrame::Error(text) => RespValue::Error(text),
        OwnedFrame::SimpleString(bytes) | OwnedFrame::BulkString(bytes) => {
            RespValue::Str(string(secrets, command, &bytes))
        }
        OwnedFrame::Array(items) => {
            let items = items.into_iter().map(|item| value(secrets, command, item));
            RespValue::List(items.collect())
        }
    }
}

fn string(secrets: &Secrets, command: &RespCommand, bytes: &[u8]) -> Text {
    if !command.sensitive {
        return secrets.conceal_lossy(bytes);
    }
    // The argument itself, not the bytes: it may be the reference of a secret.
    let mut args = command.args.iter();
    let echoed = args.find(|arg| secrets.reveal(arg, &[]).is_ok_and(|arg| arg.as_slice() == bytes));
    if let Some(arg) = echoed {
        return arg.clone();
    }
    match secrets.name_of(bytes, &command.known) {
        Some(id) => Text::secret(id),
        // That nothing is set is no secret, and a plan must know it.
        None if bytes.is_empty() => Text::default(),
        None => Text::kept(0..bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Secret, SecretId};

    fn shown(command: &RespCommand, reply: &[&str]) -> Vec<String> {
        let known = [("a", "password-a"), ("b", "password-b")];
        let known = known.map(|(id, value)| (id.parse().unwrap(), Secret::new(value)));
        let secrets = Secrets::default().with(known);
        let items = reply
            .iter()
            .map(|item| OwnedFrame::BulkString(item.as_bytes().to_vec()));
        match value(&secrets, command, OwnedFrame::Array(items.collect())) {
            RespValue::List(items) => items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sensitive_reply_shows_arguments_known_secrets_and_lengths() {
        let known: [SecretId; 1] = ["a".parse().unwrap()];
        let command =
            RespCommand::new(["CONFIG", "GET", "requirepass", "masterauth", "masteruser"]).sensitive(&known);
        let reply = [
            "requirepass",
            "password-a",
            "masterauth",
            "password-b",
            "masteruser",
            "",
        ];
        assert_eq!(
            shown(&command, &reply),
            [
                "requirepass",
                "⟪secret:a⟫",
                "masterauth",
                "⟪kept:0+10⟫",
                "masteruser",
                ""
            ]
        );
    }

    #[test]
    fn other_replies_show_all_but_secrets() {
        let command = RespCommand::new(["INFO"]);
        assert_eq!(
            shown(&command, &["role:master", "x password-b"]),
            ["role:master", "x ⟪secret:b⟫"]
        );
    }
}
