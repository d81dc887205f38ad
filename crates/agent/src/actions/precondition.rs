//! What an action relies on, asked again at the moment of acting.

use protocol::facts::FileFact;
use protocol::{ActionError, Fact, FactError, FactQuery, Precondition};

use crate::facts;
use crate::host::Host;

/// How much of an answer that is not the expected one goes into the message.
const SHOWN: usize = 300;

/// Answers every precondition's query; the first whose answer is another than the plan's stops the action.
pub(super) fn check(host: &Host, preconditions: &[Precondition]) -> Result<(), ActionError> {
    let queries: Vec<FactQuery> = preconditions.iter().map(|one| one.query.clone()).collect();
    let (answers, _held) = facts::gather(host, &queries);
    for (precondition, answer) in preconditions.iter().zip(answers) {
        if !precondition.holds(&answer) {
            let what = format!("{}; now {}", precondition.what, describe(&answer));
            return Err(ActionError::Changed { what });
        }
    }
    Ok(())
}

/// An answer in a line. Secrets are references in it already.
fn describe(answer: &Result<Fact, FactError>) -> String {
    let mut text = match answer {
        Err(error) => format!("it cannot be observed: {error}"),
        Ok(Fact::File(FileFact::Absent)) => "there is no such file".to_owned(),
        Ok(Fact::File(FileFact::Present(meta))) => format!(
            "it is a {:?} of {} bytes, mode {:04o}, {}:{}, sha256 {}",
            meta.kind, meta.len, meta.mode, meta.owner, meta.group, meta.sha256
        ),
        Ok(Fact::Command(command)) => format!("it exits with {}", command.status),
        Ok(Fact::Unit(unit)) => format!(
            "it is {}, {} ({}), {}, invocation {}",
            unit.load, unit.active, unit.sub, unit.enabled, unit.invocation
        ),
        Ok(fact) => format!("{fact:?}"),
    };
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text
}
