//! The checks of gates: spelled, read and judged here.

use plan::{Facts, Verdict};
use types::HostName;

use crate::observe::View;
use crate::rules::startup::{has_one_master, has_started, members_serve, serves};
use crate::settings::{Program, Settings};

/// A check: the condition on facts that a gate waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The process runs with the main.json that its host should have.
    Started(Program),
    /// The process runs, in whatever role.
    Serving(Program),
    /// All members serve.
    OthersServe,
    /// The right host is the only master.
    OneMaster(Program),
}

kit::spell_checks!(Check {
    "others-serve" => OthersServe;
    "started " + Started,
    "serving " + Serving,
    "one-master " + OneMaster
});

/// Judges a check by the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(check, |check: Check| {
        let view = View::new(settings, facts);
        // A former member has gates too.
        match (check, host.and_then(|host| view.members.any(host))) {
            (Check::OneMaster(program), _) => has_one_master(&view, program, facts),
            (Check::OthersServe, _) => members_serve(&view, facts),
            (Check::Started(program), Some(member)) => has_started(settings, member, program),
            (Check::Serving(program), Some(member)) => serves(member, program),
            (Check::Started(_) | Check::Serving(_), None) => {
                let name = &settings.name;
                Verdict::Fail(format!(
                    "the check {check} is about a host that {name} does not have"
                ))
            }
        }
    })
}
