//! The health of a running member, as it sees itself and the others.

use crate::observe::{Broker, Member, Node};
use crate::settings::{NodeName, list};

/// The broker of a member; the error says why there is none, for people.
pub(crate) fn running<'m>(member: &'m Member<'_>) -> Result<&'m Broker, String> {
    Err(match &member.node {
        Ok(Node::Running(broker)) => return Ok(broker),
        Ok(Node::Off(_)) => "it does not run".to_owned(),
        Ok(Node::OtherCookie(_)) => "it runs with another cookie than its file's".to_owned(),
        Ok(Node::Halted { .. }) => "the node runs without its broker".to_owned(),
        Err(why) => why.clone(),
    })
}

/// Members that count and that a running member does not see; `None` where it sees all.
pub(crate) fn unseen(broker: &Broker, counts: impl Fn(&NodeName) -> bool) -> Option<String> {
    let missing = broker.members.difference(&broker.running);
    let mut missing = missing.filter(|node| counts(node)).peekable();
    missing.peek()?;
    Some(format!("does not see {}", list(missing)))
}

/// Something that is wrong with a running member, or with those of the others that count; `None` where all is well.
pub(crate) fn trouble(broker: &Broker, counts: impl Fn(&NodeName) -> bool) -> Option<String> {
    if !broker.partitions.is_empty() {
        return Some(format!("partitioned from {}", list(&broker.partitions)));
    }
    if let Some(unseen) = unseen(broker, counts) {
        return Some(unseen);
    }
    if !broker.alarms.is_empty() {
        return Some(format!("alarm {}", broker.alarms.join(", ")));
    }
    let queues = &broker.unsynchronised;
    (!queues.is_empty()).then(|| format!("without a synchronised mirror: {}", queues.join(", ")))
}
