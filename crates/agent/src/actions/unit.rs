//! Telling systemd what to do with a unit.

use protocol::{ActionError, Change, UnitVerb};

use super::act::{Act, LINES, done, failed};
use crate::facts::invocation;
use crate::host::Host;
use crate::process::argv;
use crate::stamps::Content;

/// Gives systemd the verbs in order, and stops at the first that fails. Notes what a process that it starts reads.
pub(super) fn tell(
    act: &Act<'_>,
    name: &str,
    verbs: &[UnitVerb],
    reads: &[String],
) -> Result<Change, ActionError> {
    for verb in verbs {
        let mut words = vec!["systemctl", "--no-ask-password", verb.as_str()];
        if *verb != UnitVerb::DaemonReload {
            words.extend(["--", name]);
        }
        if matches!(verb, UnitVerb::Start | UnitVerb::Restart) {
            forget_starts(act, name)?;
        }
        if *verb == UnitVerb::Restart {
            act.begin_once(&words.join(" "))?;
        }
        let starts = !reads.is_empty() && matches!(verb, UnitVerb::Start | UnitVerb::Restart);
        let start = starts.then(|| (invocation(act.host, name), Content::of(reads)));
        let output = act.program(&argv(&words), &[], &[])?;
        if output.status != 0 {
            let mut message = format!("{} failed:\n{}", words.join(" "), act.said(&output));
            if let Some(journal) = journal(act, name) {
                message = format!("{message}\n{journal}");
            }
            return Err(failed(message.trim_end()));
        }
        if let Some((before, contents)) = start {
            note(act.host, name, before.as_deref(), contents);
        }
    }
    let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
    Ok(done(format!("{name}: {}", verbs.join(", "))))
}

/// Has systemd forget how often a unit was started: one that was started again and again with a bad file is not started
/// with the good one either, for some seconds ("Start request repeated too quickly", systemd.unit(5), `StartLimitBurst`).
/// Where it knows no such unit, the start says so.
fn forget_starts(act: &Act<'_>, name: &str) -> Result<(), ActionError> {
    let words = ["systemctl", "--no-ask-password", "reset-failed", "--", name];
    act.program(&argv(words), &[], &[]).map(drop)
}

/// Notes what a unit was started with. One that ran already was not started.
fn note(host: &Host, name: &str, before: Option<&str>, contents: Vec<Content>) {
    let now = invocation(host, name).filter(|now| Some(now.as_str()) != before);
    if let Some(invocation) = now {
        host.stamp(|stamps, lock| stamps.started(lock, name, invocation, contents));
    }
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
