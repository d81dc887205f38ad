//! Sending commands to a server that speaks SSDB's protocol.

use std::time::Instant;

use protocol::facts::SsdbCommand;
use protocol::{ActionError, Change, Text};
use types::SecretId;

use super::{Act, failed};
use crate::ssdb::{Connection, said, status};

/// Sends the commands one after another, so many times, and stops at the first that is not `ok`.
pub(super) fn send(
    act: &Act<'_>,
    (address, port): (&str, u16),
    password: Option<&SecretId>,
    commands: &[SsdbCommand],
    times: u64,
) -> Result<Change, ActionError> {
    let secrets = act.host.secrets();
    let at = |why: &dyn std::fmt::Display| failed(format!("{address}:{port}: {why}"));
    let left = act.until.saturating_duration_since(Instant::now());
    let opened = Connection::open(&secrets, address, port, password, left);
    let mut connection = opened.map_err(|error| at(&error))?;
    for command in (0..times).flat_map(|_| commands) {
        let shown = shown(command);
        act.safe_point(&shown)?;
        // The connection's limit is the action's: where no answer came, the time is over as well.
        let reply = connection
            .ask(&secrets, command)
            .map_err(|error| match act.safe_point(&shown) {
                Err(over) => over,
                Ok(()) => at(&format!("{shown}: {error}")),
            })?;
        if status(&reply) != "ok" {
            return Err(at(&format!("{shown}: {}", said(&reply))));
        }
    }
    let all: Vec<String> = commands.iter().map(shown).collect();
    let often = if times == 1 {
        String::new()
    } else {
        format!(", {times} times")
    };
    Ok(Change {
        summary: format!("{address}:{port}: {}{often}", all.join("; ")),
        backup: None,
    })
}

/// The command as a line; secrets are references in it.
fn shown(command: &SsdbCommand) -> String {
    let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
    words.join(" ")
}
