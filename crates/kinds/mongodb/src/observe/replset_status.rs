//! `replSetGetStatus`: the members of a set as one of them sees them.

use protocol::facts::Bson;

/// The set as a member sees it.
#[derive(Debug)]
pub(crate) struct ReplSetStatus {
    pub(crate) term: Option<i64>,
    pub(crate) members: Vec<MemberState>,
}

/// A member of the set as another one sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberState {
    /// `host:port`.
    pub(crate) name: String,
    pub(crate) state: State,
    /// The state in the server's words.
    pub(crate) words: String,
    pub(crate) is_healthy: bool,
    /// The time of its latest change, milliseconds since 1970; `None` for arbiters and those that are down.
    pub(crate) at_ms: Option<i64>,
    pub(crate) message: String,
}

/// A member's state (<https://www.mongodb.com/docs/manual/reference/replica-states/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Primary,
    Secondary,
    Arbiter,
    /// It starts, copies, recovers, rolls back, is down or removed.
    Other,
}

impl ReplSetStatus {
    pub(crate) fn read(reply: &Bson) -> Self {
        let members = reply.get("members").map(Bson::items).unwrap_or_default();
        Self {
            term: reply.get("term").and_then(Bson::as_int),
            members: members.iter().filter_map(MemberState::read).collect(),
        }
    }

    /// A member by its name.
    pub(crate) fn member(&self, name: &str) -> Option<&MemberState> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The primary, as this member sees it.
    pub(crate) fn primary(&self) -> Option<&MemberState> {
        let leads = |member: &&MemberState| member.state == State::Primary && member.is_healthy;
        self.members.iter().find(leads)
    }
}

impl MemberState {
    /// Whether it is up and does its part in the set.
    pub(crate) fn is_available(&self) -> bool {
        self.is_healthy && self.state != State::Other
    }

    fn read(member: &Bson) -> Option<Self> {
        let text = |field: &str| {
            let text = member.get(field).and_then(Bson::as_str);
            text.unwrap_or_default().to_owned()
        };
        Some(Self {
            name: text("name"),
            state: match member.get("state")?.as_int()? {
                1 => State::Primary,
                2 => State::Secondary,
                7 => State::Arbiter,
                _ => State::Other,
            },
            words: text("stateStr"),
            is_healthy: member.get("health").is_some_and(Bson::is_true),
            at_ms: match member.get("optimeDate") {
                // A member that is down, or an arbiter, has the beginning of time.
                Some(Bson::Date(ms)) if *ms > 0 => Some(*ms),
                _ => None,
            },
            message: text("lastHeartbeatMessage"),
        })
    }
}
