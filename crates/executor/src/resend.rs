//! An action is sent, and sent again where its connection was lost. It is done once.
//!
//! - Every attempt carries the same id, and the agent does only what it has not done under that id yet.
//! - Where the agent cannot know (an agent died in the middle, the host went down), it reports that, and nothing is repeated.
//! - Only for a restart the host shows whether it was done. A unit that was started since the first observation is only
//!   made sure to run; one that was not is restarted, under a new id.

use std::time::Duration;

use protocol::facts::{Query, UnitQuery};
use protocol::{Action, ActionError, ActionId, ActionRequest, Change, Fact, Operation, UnitVerb};
use transport::{Session, SessionError};
use types::NodeId;

use crate::connections::{CONTROL_LIMIT, Connections, answer_within};

/// The delivery of an action.
pub(crate) struct Delivery<'c> {
    connections: &'c Connections,
    id: ActionId,
    action: Action,
    limit: Duration,
    /// How often it was sent.
    sent: u32,
    /// Whether its effects were observed, and what remained was sent under another id.
    is_renewed: bool,
    /// The invocation of the unit that it restarts, before it was sent at all.
    first: Option<String>,
}

impl<'c> Delivery<'c> {
    /// An action that is not sent yet. Its answer may take `limit`.
    pub(crate) fn new(connections: &'c Connections, node: &NodeId, action: &Action, limit: Duration) -> Self {
        Self {
            connections,
            id: connections.next_action(node),
            action: action.clone(),
            limit,
            sent: 0,
            is_renewed: false,
            first: None,
        }
    }

    /// Whether what changed since the plan may be the work of an earlier attempt. An action that must not be repeated is
    /// not checked a second time once it was begun.
    pub(crate) fn may_have_been_done(&self) -> bool {
        self.is_renewed || self.sent > 1 && self.action.operation.is_idempotent()
    }

    /// Sends it.
    pub(crate) async fn send(
        &mut self,
        session: &Session,
    ) -> Result<Result<Change, ActionError>, SessionError> {
        let restarted = restarted(&self.action.operation);
        if let Some(query) = restarted.as_ref().filter(|_| self.sent == 0) {
            self.first = invocation(session, query).await?;
        }
        let result = self.send_once(session).await?;
        let (Some(query), Some(first), Err(ActionError::CutOff { what })) =
            (&restarted, self.first.clone(), &result)
        else {
            return Ok(result);
        };
        tracing::debug!(what, "whether the unit was restarted is observed");
        match invocation(session, query).await? {
            Some(now) if now == first => {}
            Some(_) => only_start(&mut self.action.operation),
            None => return Ok(result),
        }
        self.id = self.connections.next_action(&self.id.node);
        self.is_renewed = true;
        self.sent = 0;
        self.send_once(session).await
    }

    async fn send_once(&mut self, session: &Session) -> Result<Result<Change, ActionError>, SessionError> {
        let request = ActionRequest {
            id: self.id.clone(),
            is_repeated: self.sent > 0,
            action: self.action.clone(),
        };
        self.sent += 1;
        answer_within(session, self.limit, session.act(request)).await
    }
}

/// The unit that an operation restarts.
fn restarted(operation: &Operation) -> Option<UnitQuery> {
    match operation {
        Operation::Unit { name, verbs, .. } if verbs.contains(&UnitVerb::Restart) => {
            Some(UnitQuery::new(name))
        }
        _ => None,
    }
}

fn only_start(operation: &mut Operation) {
    if let Operation::Unit { verbs, .. } = operation {
        let restarts = verbs.iter_mut().filter(|verb| **verb == UnitVerb::Restart);
        restarts.for_each(|verb| *verb = UnitVerb::Start);
    }
}

/// The unit's invocation; `None` where it is unknown.
async fn invocation(session: &Session, query: &UnitQuery) -> Result<Option<String>, SessionError> {
    let answers = answer_within(session, CONTROL_LIMIT, session.gather(vec![query.wrap()])).await?;
    Ok(answers.into_iter().find_map(|fact| match fact {
        Ok(Fact::Unit(unit)) => Some(unit.invocation),
        _ => None,
    }))
}
