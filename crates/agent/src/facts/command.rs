//! What a command that changes nothing prints.

use std::time::Duration;

use protocol::FactError;
use protocol::facts::{CommandFact, CommandQuery};
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::Time;
use crate::host::Host;
use crate::process::{OUTPUT_LIMIT, ProcessError, Program};

pub(super) fn observe(host: &Host, query: &CommandQuery) -> Result<CommandFact, FactError> {
    let secrets = host.secrets();
    let until = Time::within(Duration::from_millis(query.limit_ms)).until;
    let mut program = Program::new(&query.argv, until);
    program.stop = Some(host.closing());
    program.keep = OUTPUT_LIMIT + secrets.longest();
    let output = program.run().map_err(|error| match error {
        ProcessError::TimedOut { program } => {
            unknown(format!("{program} did not end within {} ms", query.limit_ms))
        }
        error => unknown(error),
    })?;
    Ok(CommandFact {
        status: output.status,
        stdout: shorten(&secrets, &output.stdout_text()),
        stderr: shorten(&secrets, &output.stderr_text()),
    })
}

/// Redacts first and cuts then: a cut through a secret would leave a part that nobody recognises.
fn shorten(secrets: &Secrets, text: &str) -> String {
    let mut text = secrets.redact(text);
    text.truncate(text.floor_char_boundary(OUTPUT_LIMIT));
    text
}
