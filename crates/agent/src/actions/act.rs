//! An action under way: the points at which it may stop, and the programs that it runs.

use std::cell::Cell;
use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use protocol::{ActionError, Change, Text};

use crate::host::Host;
use crate::process::{Output, ProcessError, Program};
use crate::record_file::RecordFile;
use crate::tail::tail;

/// How many lines of what a program said an error carries.
pub(super) const LINES: usize = 20;

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

/// An action under way.
pub(super) struct Act<'a> {
    pub(super) host: &'a Host,
    pub(super) record: &'a RecordFile,
    pub(super) limit_ms: u64,
    pub(super) until: Instant,
    /// Whether something was begun that must not be done a second time.
    pub(super) is_touched: Cell<bool>,
}

impl Act<'_> {
    /// A point at which the action may stop: the connection still lives, and there is time left.
    pub(super) fn safe_point(&self, next: &str) -> Result<(), ActionError> {
        if self.host.is_closing() {
            let what = format!("the connection ended before {next}");
            return Err(ActionError::CutOff { what });
        }
        if Instant::now() >= self.until {
            return Err(self.timed_out(next));
        }
        Ok(())
    }

    /// A point at which the action may stop, before something that must not be done a second time.
    pub(super) fn begin_once(&self, next: &str) -> Result<(), ActionError> {
        self.safe_point(next)?;
        self.is_touched.set(true);
        Ok(())
    }

    /// Asks the server at a place for something that must not be done a second time.
    pub(super) fn ask_once<T, E: Display>(
        &self,
        place: &str,
        what: &str,
        ask: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, ActionError> {
        self.begin_once(what)?;
        // The connection's limit is the action's: where no answer came, the time is over as well.
        ask().map_err(|error| match self.safe_point(what) {
            Err(over) => over,
            Ok(()) => failed(format!("{place}: {what}: {error}")),
        })
    }

    fn timed_out(&self, what: impl Into<String>) -> ActionError {
        ActionError::TimedOut {
            what: what.into(),
            limit_ms: self.limit_ms,
        }
    }

    /// Runs a program within what is left of the time limit, whatever its exit status.
    pub(super) fn program(
        &self,
        argv: &[String],
        stdin: &[u8],
        env: &[(&str, &str)],
    ) -> Result<Output, ActionError> {
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
    pub(super) fn said(&self, output: &Output) -> String {
        let secrets = self.host.secrets();
        let stderr = tail(&secrets.redact(&output.stderr_text()), LINES);
        if stderr.is_empty() {
            return tail(&secrets.redact(&output.stdout_text()), LINES);
        }
        stderr
    }
}

/// A command as a line; secrets are references in it.
pub(super) fn line(args: &[Text]) -> String {
    let words: Vec<&str> = args.iter().map(Text::as_str).collect();
    words.join(" ")
}

/// The change that was made.
pub(super) fn done(summary: impl Into<String>) -> Change {
    Change {
        summary: summary.into(),
        backup: None,
        wrote: None,
    }
}

pub(super) fn failed(message: impl Display) -> ActionError {
    ActionError::Failed {
        message: message.to_string(),
    }
}
