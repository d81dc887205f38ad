//! Which members are unavailable.

use std::collections::BTreeSet;

use types::HostName;

use crate::observe::replies::{Fields, field};
use crate::observe::view::{Member, View};
use crate::rules::health::lag;
use crate::rules::roles::Roles;

/// The members that do not serve: their engine does not answer or is loading, they are replicas without a link or that
/// have not caught up, they take themselves for masters beside the master; and those whose sentinel the others know and
/// miss, for it votes.
pub(crate) fn unavailable(view: &View<'_>) -> BTreeSet<HostName> {
    let roles = Roles::find(view);
    let members = view.members.iter();
    let away = members.filter(|member| is_away(view, &roles, member) || misses_sentinel(view, member));
    away.map(|member| member.host.clone()).collect()
}

fn is_away(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    let Some(engine) = member.engine.up().filter(|engine| !engine.is_loading()) else {
        return true;
    };
    let master = match roles {
        Roles::Known { master, .. } => master,
        // A failover may be under way.
        Roles::Refused(_) => return true,
        Roles::First(_) | Roles::Unknown(_) => return false,
    };
    if master == member.host {
        return false;
    }
    let master = view.member(master).and_then(|master| master.engine.up());
    let lag = master.and_then(|master| lag(engine, master));
    engine.is_master() || !engine.has_link() || lag.is_some_and(|lag| lag > view.settings.engine.small_lag())
}

/// Whether the other sentinels count on one that does not answer.
fn misses_sentinel(view: &View<'_>, member: &Member<'_>) -> bool {
    let counts_on = |other: &Fields| {
        let ip = field(other, "ip");
        member.addresses.iter().any(|own| own == ip)
    };
    let watching = view.watching();
    let is_known = watching
        .iter()
        .any(|(_, sentinel, _)| sentinel.others.iter().any(counts_on));
    let watches = member
        .sentinel
        .up()
        .is_some_and(|sentinel| view.watched(sentinel).is_some());
    is_known && !watches
}
