//! Changing the host: one module an operation.
//!
//! Every action first asks again what it relies on, and is not begun where that no longer holds. Between two commands of
//! a sequence it looks whether the connection still lives: a run that was cut off stops there, at a point that the next
//! plan sees.

mod backup;
mod directory;
mod http;
mod mongo;
mod packages;
mod precondition;
mod resp;
mod run;
mod ssdb;
mod unit;
mod write;

use std::time::{Duration, Instant};

use protocol::{Action, ActionError, Change, Operation};

use crate::bounds::Time;
use crate::host::Host;
use crate::process::{Output, ProcessError, Program};
use crate::words::tail;

/// How many lines of what a program said an error carries.
const LINES: usize = 20;

/// Makes a change.
pub(crate) fn act(host: &Host, action: &Action) -> Result<Change, ActionError> {
    let act = Act {
        host,
        limit_ms: action.limit_ms,
        until: Time::within(Duration::from_millis(action.limit_ms)).until,
    };
    precondition::check(host, &action.only_if)?;
    act.safe_point("the change")?;
    match &action.operation {
        Operation::WriteFile {
            path,
            text,
            mode,
            owner,
            group,
            was,
        } => {
            let wanted = write::Wanted {
                path,
                text,
                mode: *mode,
                owner,
                group,
            };
            Ok(write::write(host, &wanted, was)?)
        }
        Operation::MakeDirectory {
            path,
            mode,
            owner,
            group,
        } => directory::make(path, *mode, owner, group),
        Operation::Unit { name, verbs } => unit::tell(&act, name, verbs),
        Operation::InstallPackages { names } => packages::install(&act, names),
        Operation::Run { commands } => run::run(&act, commands),
        Operation::Resp {
            address,
            port,
            password,
            commands,
        } => resp::send(&act, address, *port, password.as_ref(), commands),
        Operation::Ssdb {
            address,
            port,
            password,
            commands,
            until,
        } => ssdb::send(
            &act,
            (address, *port),
            password.as_ref(),
            commands,
            until.as_ref(),
        ),
        Operation::Mongo {
            address,
            port,
            user,
            commands,
            again_on,
        } => {
            let server = mongo::Server {
                address,
                port: *port,
                user: user.as_ref(),
            };
            mongo::send(&act, &server, commands, again_on)
        }
        Operation::Http { at, requests } => http::send(&act, at, requests),
    }
}

/// An action under way.
struct Act<'a> {
    host: &'a Host,
    limit_ms: u64,
    until: Instant,
}

impl Act<'_> {
    /// A point at which the action may stop: the connection still lives, and there is time left.
    fn safe_point(&self, next: &str) -> Result<(), ActionError> {
        if self.host.is_closing() {
            return Err(failed(format!("the connection ended before {next}")));
        }
        if Instant::now() >= self.until {
            return Err(self.timed_out(next));
        }
        Ok(())
    }

    fn timed_out(&self, what: impl Into<String>) -> ActionError {
        ActionError::TimedOut {
            what: what.into(),
            limit_ms: self.limit_ms,
        }
    }

    /// Runs a program within what is left of the time limit, whatever its exit status.
    fn program(&self, argv: &[String], stdin: &[u8], env: &[(&str, &str)]) -> Result<Output, ActionError> {
        let what = argv.join(" ");
        self.safe_point(&what)?;
        let mut program = Program::new(argv, self.until);
        program.stdin = stdin;
        program.env = env;
        program.keep += self.host.secrets().longest();
        program.run().map_err(|error| match error {
            ProcessError::TimedOut { .. } => self.timed_out(what),
            error => failed(error),
        })
    }

    /// What a program said, for an error: the end of its standard error, or of its output where that is empty. Redacted
    /// before it is cut.
    fn said(&self, output: &Output) -> String {
        let secrets = self.host.secrets();
        let stderr = tail(&secrets.redact(&output.stderr_text()), LINES);
        if stderr.is_empty() {
            return tail(&secrets.redact(&output.stdout_text()), LINES);
        }
        stderr
    }
}

fn failed(message: impl std::fmt::Display) -> ActionError {
    ActionError::Failed {
        message: message.to_string(),
    }
}
