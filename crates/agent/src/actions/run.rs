//! Running commands one after another.

use protocol::{ActionError, Change, Command};
use zeroize::Zeroizing;

use super::act::{Act, done, failed};

/// Runs the commands in order, and stops at the first that fails.
pub(super) fn run(act: &Act<'_>, commands: &[Command]) -> Result<Change, ActionError> {
    for (done, command) in commands.iter().enumerate() {
        let shown = command.argv.join(" ");
        let failed_here = |why: String| {
            let place = match commands.len() {
                1 => String::new(),
                all => format!(" (command {} of {all})", done + 1),
            };
            failed(format!("{shown}{place}: {why}"))
        };
        let stdin = match &command.stdin {
            Some(text) => act.host.secrets().reveal(text, &[]),
            None => Ok(Zeroizing::default()),
        }
        .map_err(|error| failed_here(error.to_string()))?;
        act.begin_once(&shown)?;
        let output = act.program(&command.argv, &stdin, &[])?;
        if output.status != 0 {
            return Err(failed_here(format!(
                "exit status {}\n{}",
                output.status,
                act.said(&output)
            )));
        }
    }
    let shown: Vec<String> = commands.iter().map(|command| command.argv.join(" ")).collect();
    Ok(done(format!("ran {}", shown.join("; "))))
}
