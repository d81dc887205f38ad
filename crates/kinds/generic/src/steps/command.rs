//! `command`: a command, with a precondition that tells whether it is needed. Without one it would run every time, and no
//! plan would ever be empty. The agent asks the precondition again right before it runs the command.

use config::SecretRule;
use plan::{Preview, Unknown};
use protocol::facts::{CommandFact, CommandQuery};
use protocol::{Action, Fact, FactQuery, Operation, Precondition, Query, Text};
use types::{Diagnostic, HostName, SecretId};

use super::shell;
use crate::arguments::{Args, Word};
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};
use kit::{UNIT, action};

/// Time limit of a precondition, in milliseconds: every plan waits for it.
const GUARD: u64 = 30_000;

pub(crate) struct Command {
    argv: Vec<String>,
    precondition: CommandQuery,
    /// Whether the precondition must succeed for the command to run (`only_if`), or fail (`unless`).
    runs_on_success: bool,
    stdin: Option<SecretId>,
    limit_ms: u64,
}

impl OnHost for Command {
    const ARGUMENT: &'static str = "an argument of command";

    fn read(args: &Args<'_>) -> Option<Self> {
        let reader = args.reader();
        let program = reader.required(
            "argv",
            args.words("argv"),
            "argv = [\"program\", \"argument\"]; no shell is involved",
        );
        let program = program.and_then(|words| command_line(args, words));
        let unless = args.words("unless").and_then(|words| command_line(args, words));
        let only_if = args.words("only_if").and_then(|words| command_line(args, words));
        let stdin = reader.secret("stdin", SecretRule::PASSWORD);
        let limit_ms = args.limit(UNIT);
        let (runs_on_success, precondition) = match (reader.value("unless"), reader.value("only_if")) {
            (Some(_), None) => (false, unless),
            (None, Some(_)) => (true, only_if),
            (Some(_), Some(value)) => {
                args.report(
                    Diagnostic::error("unless and only_if are both given").at(value.span, "choose one"),
                );
                return None;
            }
            (None, None) => {
                let error = Diagnostic::error("the command has no precondition")
                    .at(reader.span(), "needs unless, or only_if");
                args.report(error.hint(
                    "a command without a precondition would run every time: unless = [\"test\", \"-e\", \"/what/it/makes\"]",
                ));
                return None;
            }
        };
        Some(Self {
            argv: program?,
            precondition: CommandQuery {
                argv: precondition?,
                limit_ms: GUARD,
            },
            runs_on_success,
            stdin,
            limit_ms,
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![self.precondition.wrap()]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let fact = cx.facts.get(host, &self.precondition).map_err(|unknown| {
            let installs = |operation: &Operation| matches!(operation, Operation::InstallPackages { .. });
            if matches!(unknown, Unknown::Failed { .. }) && cx.earlier_on(host).any(installs) {
                let precondition = shell::quote(&self.precondition.argv);
                NotPlanned::Unplanned(format!(
                    "its precondition `{precondition}` may need what an earlier step installs: plan again then"
                ))
            } else {
                NotPlanned::from(unknown)
            }
        })?;
        if (fact.status == 0) != self.runs_on_success {
            return Ok(None);
        }
        let verb = if self.runs_on_success {
            "succeeds".to_owned()
        } else {
            format!("fails with {}", fact.status)
        };
        let reason = format!(
            "the precondition `{}` {verb}",
            shell::quote(&self.precondition.argv)
        );
        let command = protocol::Command {
            argv: self.argv.clone(),
            stdin: self.stdin.as_ref().map(Text::secret),
        };
        let shown = shell::show(&command);
        let operation = Operation::Run {
            commands: vec![command],
        };
        let program = self.argv.first().map_or("", String::as_str);
        let still = Precondition {
            what: reason.clone(),
            query: self.precondition.wrap(),
            // What it printed is of no matter, and may differ the next time.
            fact: Fact::Command(CommandFact {
                status: fact.status,
                stdout: String::new(),
                stderr: String::new(),
            }),
        };
        let action = Action {
            only_if: vec![still],
            ..action(operation, self.limit_ms)
        };
        let task = Task::new(host, format!("run {program}"), reason, action);
        Ok(Some(task.preview(Preview::Commands(vec![shown]))))
    }
}

/// Program and arguments.
fn command_line(args: &Args<'_>, words: Vec<Word>) -> Option<Vec<String>> {
    match words.first() {
        Some(program) if !program.text.is_empty() => {}
        first => {
            let span = first.map_or(args.reader().span(), |word| word.span);
            args.report(
                Diagnostic::error("a command has no program")
                    .at(span, "expected a program, then its arguments"),
            );
            return None;
        }
    }
    Some(words.into_iter().map(|word| word.text).collect())
}
