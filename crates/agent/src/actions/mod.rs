//! Changing the host: one module an operation.
//!
//! Every action first asks again what it relies on, and is not begun where that no longer holds. Between two commands of
//! a sequence it looks whether the connection still lives: a run that was cut off stops there, at a point that the next
//! plan sees.

mod backup;
mod directives;
mod directory;
mod http;
mod mongo;
mod packages;
mod precondition;
mod resp;
mod run;
mod ssdb;
mod unit;
mod unit_files;
mod write;

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::{Action, ActionError, ActionRequest, Change, Operation, Response};

use crate::bounds::Time;
use crate::host::Host;
use crate::process::{Output, ProcessError, Program};
use crate::record_file::RecordFile;
use crate::redact::redact;
use crate::words::tail;

/// How many lines of what a program said an error carries.
const LINES: usize = 20;

/// The programs that are never stopped in the middle: a package that is configured by half is a service that does not
/// start, and every later change of packages fails.
const LEFT_TO_END: [&str; 6] = [
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "dpkg-reconfigure",
    "unattended-upgrade",
];

/// Makes a change of the run that holds the lock, unless the record says that it was made or begun before.
pub(crate) fn act_once(host: &Host, request: &ActionRequest) -> Response {
    let Some(record) = host.record() else {
        return Response::Failed(
            "this connection does not hold the run lock, and changes nothing without it".to_owned(),
        );
    };
    if let Some(known) = record.answer(request) {
        return Response::Acted(known);
    }
    let action = &request.action;
    let act = Act {
        host,
        record: &record,
        limit_ms: action.limit_ms,
        until: Time::within(Duration::from_millis(action.limit_ms)).until,
        is_touched: Cell::new(false),
    };
    // What stops here was not begun, and is not recorded.
    let ready = precondition::check(host, &action.only_if).and_then(|()| act.safe_point("the change"));
    if let Err(error) = ready {
        return Response::Acted(Err(error));
    }
    if let Err(error) = record.begin(&request.id) {
        return Response::Acted(Err(failed(format!("{error}; nothing was done"))));
    }
    // As it is answered, so that no secret is recorded either.
    let mut response = Response::Acted(operate(&act, action));
    redact(&mut response, &host.secrets());
    response.cut_messages();
    let recorded = match &response {
        Response::Acted(Err(ActionError::CutOff { .. })) if !act.is_touched.get() => {
            record.forget(&request.id)
        }
        Response::Acted(result) => record.end(&request.id, result),
        _ => Ok(()),
    };
    // What is not recorded as ended counts as begun: it is not repeated either.
    let _recorded = recorded.is_ok();
    response
}

fn operate(act: &Act<'_>, action: &Action) -> Result<Change, ActionError> {
    let host = act.host;
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
            was,
        } => {
            let wanted = directory::Wanted {
                path,
                mode: *mode,
                owner,
                group,
            };
            directory::make(&wanted, was)
        }
        Operation::Unit { name, verbs } => unit::tell(act, name, verbs),
        Operation::InstallPackages { names } => packages::install(act, names),
        Operation::Run { commands } => run::run(act, commands),
        Operation::Resp {
            address,
            port,
            password,
            commands,
        } => resp::send(act, address, *port, password.as_ref(), commands),
        Operation::Ssdb {
            address,
            port,
            password,
            commands,
            until,
        } => ssdb::send(act, (address, *port), password.as_ref(), commands, until.as_ref()),
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
            mongo::send(act, &server, commands, again_on)
        }
        Operation::Http { at, requests } => http::send(act, at, requests),
        Operation::SetAccess {
            path,
            mode,
            owner,
            group,
            was,
        } => Ok(write::set_access(path, (*mode, owner, group), was)?),
        Operation::SetDirectives { path, directives } => Ok(directives::set(host, path, directives)?),
        Operation::UnitFiles {
            name,
            first,
            files,
            verbs,
        } => unit_files::change(act, name, first, files, verbs),
    }
}

/// An action under way.
struct Act<'a> {
    host: &'a Host,
    record: &'a RecordFile,
    limit_ms: u64,
    until: Instant,
    /// Whether something was begun that must not be done a second time.
    is_touched: Cell<bool>,
}

impl Act<'_> {
    /// What comes now must not be done a second time.
    fn touch(&self) {
        self.is_touched.set(true);
    }

    /// A point at which the action may stop: the connection still lives, and there is time left.
    fn safe_point(&self, next: &str) -> Result<(), ActionError> {
        if self.host.is_closing() {
            let what = format!("the connection ended before {next}");
            return Err(ActionError::CutOff { what });
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
        program.record = Some((self.record, self.host.options.starter.as_deref()));
        let name = argv.first().map(Path::new).and_then(Path::file_name);
        program.is_left_to_end = LEFT_TO_END.iter().any(|left| name == Some(left.as_ref()));
        program.run().map_err(|error| match error {
            ProcessError::TimedOut { .. } => self.timed_out(what),
            ProcessError::LeftRunning { pid, .. } => ActionError::LeftRunning {
                what,
                limit_ms: self.limit_ms,
                pid,
            },
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
