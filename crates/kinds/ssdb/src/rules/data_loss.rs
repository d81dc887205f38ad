//! Data that would be mixed or lost: hosts that hold data of their own, and mirrors that are out of sync.

use std::collections::BTreeSet;

use plan::Refusal;
use types::HostName;

use super::consents::WIPE;
use crate::observe::{Member, View};
use kit::Cx;

/// New members whose data would be mixed with those of others. Where a new member's data are the only ones, the others
/// copy them.
pub(crate) fn conflicts<'v>(view: &View<'v>) -> BTreeSet<&'v HostName> {
    if holders(view).count() < 2 {
        return BTreeSet::new();
    }
    // A host that is out of reach may hold data, but nothing is known of it that would make it a new member.
    let new = holders(view).filter(|member| {
        member.unreachable.is_none() && view.settings.hosts.contains(member.host) && !view.is_mirror(member)
    });
    new.map(|member| member.host).collect()
}

fn holders<'n, 'v>(view: &'n View<'v>) -> impl Iterator<Item = &'n Member<'v>> {
    let departing = view.departing().filter(|former| view.is_source(former));
    let members = view.hosts.listed.iter().chain(departing);
    members.filter(|member| member.may_hold_data(view.settings))
}

/// Refuses to mix the data of several hosts.
pub(crate) fn both_hold_data(view: &View<'_>, cx: &Cx<'_>) -> Vec<Refusal> {
    let conflicts = conflicts(view);
    let is_given_up = |host: &HostName| conflicts.contains(host) && cx.is_allowed(WIPE, host);
    let left = holders(view).filter(|member| !is_given_up(member.host)).count();
    match left {
        _ if conflicts.is_empty() => Vec::new(),
        0 => vec![Refusal::new(
            "no data are set aside",
            "the consents cover every host that holds data, so nothing would be left",
            "leave out the host whose data are kept",
        )],
        1 => Vec::new(),
        _ => {
            let new = conflicts.iter().filter(|host| !is_given_up(host));
            new.map(|&host| mixed(view, host)).collect()
        }
    }
}

fn mixed(view: &View<'_>, host: &HostName) -> Refusal {
    let others = holders(view).filter(|member| member.host != host);
    let (reached, lost): (Vec<_>, Vec<_>) = others.partition(|member| member.unreachable.is_none());
    let refuse = |resolve: String| {
        Refusal::new(
            format!("{host} does not become a mirror"),
            format!(
                "{host} and others hold, or may hold, data of their own: they would be mixed, and the items of queues \
                 doubled"
            ),
            resolve,
        )
    };
    if reached.is_empty() {
        let lost: Vec<&str> = lost.iter().map(|member| member.host.as_str()).collect();
        return refuse(format!(
            "bring {} back first: the data there are not known",
            lost.join(", ")
        ));
    }
    let resolve = format!(
        "decide whose data are kept; with consent the data of {host} are moved aside, and it copies those of the others"
    );
    refuse(resolve).unless_allowed(WIPE, host)
}
