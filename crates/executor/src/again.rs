//! An action that is sent, and sent again where its connection was lost.
//!
//! A restart whose answer was lost has been made as a rule, and a host that went down with it starts its units by itself.
//! To make it again would take a member away a second time while others count on it. So the unit is looked at before a
//! restart is sent, and where it has been started since the first look, it is only made sure that it runs.

use std::time::Duration;

use protocol::facts::{Query, UnitQuery};
use protocol::{Action, ActionError, Change, Fact, Operation, UnitVerb};
use transport::{Session, SessionError};

use crate::connections::{PROMPT, answer};

/// An action on its way.
pub(crate) struct Sending {
    action: Action,
    limit: Duration,
    /// How often it was sent.
    sent: u32,
    /// The invocation of the unit that it restarts, before it was sent at all.
    first: Option<String>,
}

impl Sending {
    /// It is not sent yet. Its answer may take `limit`.
    pub(crate) fn new(action: &Action, limit: Duration) -> Self {
        Self {
            action: action.clone(),
            limit,
            sent: 0,
            first: None,
        }
    }

    /// Whether what changed since the plan may be what the first sending did.
    pub(crate) fn is_repeated(&self) -> bool {
        self.sent > 1
    }

    /// Sends it.
    pub(crate) async fn send(
        &mut self,
        session: &Session,
    ) -> Result<Result<Change, ActionError>, SessionError> {
        if let Some(query) = restarted(&self.action.operation) {
            let now = invocation(session, query).await?;
            if self.first.is_some() && self.first != now {
                tracing::debug!("the unit was started again by what was sent before, or with its host");
                only_start(&mut self.action.operation);
            }
            self.first = self.first.take().or(now);
        }
        self.sent += 1;
        answer(session, self.limit, session.act(self.action.clone())).await
    }
}

/// The unit that an operation restarts.
fn restarted(operation: &Operation) -> Option<UnitQuery> {
    match operation {
        Operation::Unit { name, verbs } if verbs.contains(&UnitVerb::Restart) => Some(UnitQuery::new(name)),
        _ => None,
    }
}

fn only_start(operation: &mut Operation) {
    if let Operation::Unit { verbs, .. } = operation {
        let restarts = verbs.iter_mut().filter(|verb| **verb == UnitVerb::Restart);
        restarts.for_each(|verb| *verb = UnitVerb::Start);
    }
}

/// The unit's invocation; `None` where it cannot be told, and the restart is made as planned.
async fn invocation(session: &Session, query: UnitQuery) -> Result<Option<String>, SessionError> {
    let answers = answer(session, PROMPT, session.gather(vec![query.wrap()])).await?;
    Ok(answers.into_iter().find_map(|fact| match fact {
        Ok(Fact::Unit(unit)) => Some(unit.invocation),
        _ => None,
    }))
}
