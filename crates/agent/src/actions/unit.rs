//! Telling systemd what to do with a unit.

use protocol::{ActionError, Change, UnitVerb};

use super::act::{Act, LINES, done, failed};
use crate::process::argv;

/// Gives systemd the verbs in order, and stops at the first that fails.
pub(super) fn tell(act: &Act<'_>, name: &str, verbs: &[UnitVerb]) -> Result<Change, ActionError> {
    for verb in verbs {
        let mut words = vec!["systemctl", "--no-ask-password", verb.as_str()];
        if *verb != UnitVerb::DaemonReload {
            words.extend(["--", name]);
        }
        if *verb == UnitVerb::Restart {
            act.begin_once(&words.join(" "))?;
        }
        let output = act.program(&argv(&words), &[], &[])?;
        if output.status != 0 {
            let mut message = format!("{} failed:\n{}", words.join(" "), act.said(&output));
            if let Some(journal) = journal(act, name) {
                message = format!("{message}\n{journal}");
            }
            return Err(failed(message.trim_end()));
        }
    }
    let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    Ok(done(format!("{name}: {}", verbs.join(", "))))
}

/// The unit's last words, which tell why it did not start.
fn journal(act: &Act<'_>, name: &str) -> Option<String> {
    let lines = format!("--lines={LINES}");
    let words = [
        "journalctl",
        "--no-pager",
        "--quiet",
        "--output=cat",
        &lines,
        "--unit",
        name,
    ];
    let output = act.program(&argv(words), &[], &[]).ok()?;
    let said = act.said(&output);
    (output.status == 0 && !said.is_empty()).then_some(said)
}
