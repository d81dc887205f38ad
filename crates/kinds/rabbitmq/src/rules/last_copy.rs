//! Queues of which a departing member has the last copy, and those that get smaller without it.

use types::HostName;

use crate::observe::{Broker, Queue, Queues};
use crate::settings::{NodeName, Settings};

/// Whether quorum queues have a member on a node.
pub(crate) fn has_quorum_member(queues: &Queues, node: &NodeName) -> bool {
    queues.quorum.iter().any(|queue| queue.is_on(node))
}

/// A queue that would be lost with a node; where `grows`, quorum queues get more members first.
pub(crate) fn last_copy<'q>(queues: &'q Queues, node: &NodeName, grows: bool) -> Option<&'q str> {
    // The records of durable queues do not tell of mirrors, those of queues that are up do.
    let is_mirrored = |queue: &Queue| {
        let mut live = queues.live.iter().filter(|live| live.name == queue.name);
        live.any(|live| live.has_synchronised_mirror(node))
    };
    let is_last = |queue: &&Queue| queue.is_led_on(node) && !queue.is_exclusive() && !is_mirrored(queue);
    let classic = queues.classic.iter().find(is_last);
    let quorum = || {
        queues
            .quorum
            .iter()
            .find(|queue| !grows && queue.is_only_on(node))
    };
    // Streams have replicas of their own, which no step moves.
    let stream = || queues.streams.iter().find(|queue| queue.is_on(node));
    let found = classic.or_else(quorum).or_else(stream);
    found.map(|queue| queue.name.as_str())
}

/// What is to be known of quorum queues where a member is taken out, as another one tells; `None` where they grow again by
/// themselves, and where there are no queues.
pub(crate) fn stay_small(settings: &Settings, broker: &Broker, host: &HostName) -> Option<String> {
    let stay = !settings.grow_quorum_queues && !broker.queues.is_empty();
    stay.then(|| {
        format!(
            "quorum queues lose their member on {host}, and get none elsewhere: `grow_quorum_queues = true` gives each of \
             them one on every host, `rabbitmq-queues grow NODE all` on one"
        )
    })
}
