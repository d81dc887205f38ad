//! Queues: a full copy pushes their items once more, from every master that a mirror copies from (`slave.cpp`; seen: 20
//! items, then 40, then 180), and the others copy them back. So nobody copies where there are, or may be, any.

use plan::Refusal;
use types::HostName;

use super::consents::WIPE;
use super::data_loss::conflicts;
use crate::observe::{Member, View};
use kit::{Cx, Probe};

/// Why nobody is filled: a host that holds queues, or of which that is not known.
#[derive(Clone, Copy)]
pub(crate) struct Queues<'v> {
    pub(crate) host: &'v HostName,
    pub(crate) is_known: bool,
}

impl Queues<'_> {
    /// Refuses what would begin a copy.
    pub(crate) fn refuse(self, what: String) -> Refusal {
        let host = self.host;
        if self.is_known {
            let why = format!(
                "{host} holds queues, and a member that is filled copies from every other: each pushes the items once more, and \
                 they would be multiplied"
            );
            let resolve = "let the applications empty the queues and write none meanwhile, and plan again";
            return Refusal::new(what, why, resolve);
        }
        let why =
            format!("it is not known whether {host} holds queues, the items of which a copy multiplies");
        Refusal::new(
            what,
            why,
            format!("start {host} or bring it back, and plan again"),
        )
        .passing()
    }
}

/// A host that holds queues, or may; one that does is named before one of which it is not known. A member that is filled again
/// does not count: its own data are moved aside, and nobody copies them.
pub(crate) fn queues<'v>(view: &View<'v>, cx: &Cx<'_>, filled: Option<&HostName>) -> Option<Queues<'v>> {
    let given_up = conflicts(view);
    let is_given_up =
        |host: &HostName| Some(host) == filled || given_up.contains(host) && cx.is_allowed(WIPE, host);
    let departing = view.departing().filter(|former| view.is_source(former));
    let kept = view
        .hosts
        .listed
        .iter()
        .chain(departing)
        .filter(|member| !is_given_up(member.host));
    let held = kept.filter_map(|member| {
        let is_known = is_known_to_hold(view, member)?;
        Some(Queues {
            host: member.host,
            is_known,
        })
    });
    held.max_by_key(|queues| queues.is_known)
}

/// Whether it is known that a member holds queues; `None` where it holds none. One that cannot be asked holds what its mirrors
/// hold, but for what has not come to them.
fn is_known_to_hold(view: &View<'_>, member: &Member<'_>) -> Option<bool> {
    let others = view.hosts.all().filter(|other| other.host != member.host);
    let are_mirrors =
        |other: &&Member<'_>| view.mirrors(other, member.host) || view.mirrors(member, other.host);
    let mut mirrors = others.filter(are_mirrors).peekable();
    let may_hold = match &member.server {
        Probe::Up(info) => match info.has_queues {
            Some(is_known) => return is_known.then_some(true),
            None => true,
        },
        Probe::Down(_) if member.unreachable.is_none() => {
            member.may_hold_data(view.settings) && !mirrors.any(|other| other.server.is_up())
        }
        // Of one that nobody mirrors nothing is copied before it is asked.
        _ => mirrors.peek().is_some() && !mirrors.any(|other| other.server.is_up()),
    };
    may_hold.then_some(false)
}

/// Refuses to let members copy, or know of one another, where there are queues.
pub(crate) fn multiplied(view: &View<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let queues = queues(view, cx, None)?;
    let new = view.on(cx.hosts).filter(|member| begins_a_copy(view, member));
    // Of those that are none yet one is named first.
    let new = new.min_by_key(|member| view.is_mirror(member))?;
    Some(queues.refuse(format!("{} does not become a mirror of the others", new.host)))
}

/// Whether a member would copy from a master of which it has no position.
fn begins_a_copy(view: &View<'_>, member: &Member<'_>) -> bool {
    let departing = view.departing().filter(|former| view.is_source(former));
    let mut masters = view
        .settings
        .peers(member.host)
        .chain(departing.map(|former| former.host));
    match (&member.server, member.conf()) {
        (Probe::Up(info), _) => masters.any(|master| view.link(info, master).is_none()),
        (Probe::Down(_), Some(conf)) if member.may_hold_data(view.settings) => {
            masters.any(|master| !view.names(conf, master))
        }
        (Probe::Down(_), _) => masters.next().is_some(),
        // Nothing is changed there.
        (Probe::Denied(_) | Probe::Unknown(_), _) => false,
    }
}
