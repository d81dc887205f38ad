//! Sending commands to a server that speaks RESP.

use protocol::facts::RespCommand;
use protocol::{ActionError, Change};
use redis_protocol::resp2::types::OwnedFrame;
use types::SecretId;

use super::act::{Act, done, failed, line};
use crate::bounds::Time;
use crate::resp::Connection;

/// Sends the commands one after another, and stops at the first error.
pub(super) fn send(
    act: &Act<'_>,
    address: &str,
    port: u16,
    password: Option<&SecretId>,
    commands: &[RespCommand],
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let place = format!("{address}:{port}");
    let mut share = act.host.memory.share();
    let time = Time::until(act.until);
    let opened = Connection::open(&secrets, address, port, password, time, &mut share);
    let mut connection = opened.map_err(|error| failed(format!("{place}: {error}")))?;
    for command in commands {
        let shown = line(&command.args);
        let mut share = act.host.memory.share();
        let replies = act.ask_once(&place, &shown, || {
            connection.ask(&secrets, std::slice::from_ref(command), &mut share)
        })?;
        if let Some(OwnedFrame::Error(text)) = replies.into_iter().next() {
            return Err(failed(format!("{place}: {shown}: {text}")));
        }
    }
    let all: Vec<String> = commands.iter().map(|command| line(&command.args)).collect();
    Ok(done(format!("{place}: {}", all.join("; "))))
}
