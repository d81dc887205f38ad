//! Sending commands to a server that speaks RESP.

use protocol::facts::RespCommand;
use protocol::{ActionError, Change, Text};
use redis_protocol::resp2::types::OwnedFrame;
use types::SecretId;

use super::{Act, failed};
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
    let at = |why: &dyn std::fmt::Display| failed(format!("{address}:{port}: {why}"));
    let mut share = act.host.memory.share();
    let time = Time::until(act.until);
    let opened = Connection::open(&secrets, address, port, password, time, &mut share);
    let mut connection = opened.map_err(|error| at(&error))?;
    for command in commands {
        let shown = shown(command);
        act.safe_point(&shown)?;
        act.touch();
        let mut share = act.host.memory.share();
        let replies = connection.ask(&secrets, std::slice::from_ref(command), &mut share);
        // The connection's limit is the action's: where no answer came, the time is over as well.
        let replies = replies.map_err(|error| match act.safe_point(&shown) {
            Err(over) => over,
            Ok(()) => at(&format!("{shown}: {error}")),
        })?;
        if let Some(OwnedFrame::Error(text)) = replies.into_iter().next() {
            return Err(at(&format!("{shown}: {text}")));
        }
    }
    let all: Vec<String> = commands.iter().map(shown).collect();
    Ok(Change {
        summary: format!("{address}:{port}: {}", all.join("; ")),
        backup: None,
    })
}

/// The command as a line; secrets are references in it.
fn shown(command: &RespCommand) -> String {
    let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
    words.join(" ")
}
