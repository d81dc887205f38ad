//! Which members are unavailable.

use std::collections::BTreeSet;

use types::HostName;

use super::replication::lag;
use super::roles::Roles;
use crate::observe::{Member, View};

/// The members whose engine does not answer or is loading; replicas without a link or that have not caught up; those that
/// report the role master beside the master; and those whose sentinel the others know and miss, for it votes.
pub(crate) fn unavailable(view: &View<'_>, roles: &Roles) -> BTreeSet<HostName> {
    let members = view.members.listed.iter();
    let down = members.filter(|member| is_down(view, roles, member) || is_missed(view, member));
    down.map(|member| member.host.clone()).collect()
}

fn is_down(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    let Some(engine) = member.engine.up().filter(|engine| !engine.is_loading()) else {
        return true;
    };
    let master = match roles {
        Roles::Known { master, .. } => master,
        // A failover may be under way.
        Roles::Refused(_) => return true,
        Roles::First(_) | Roles::Unknown(_) => return false,
    };
    let lag = lag(view, master, engine);
    let is_behind = lag.is_some_and(|lag| lag > view.settings.engine.small_lag());
    member.host != master && (engine.is_master() || !engine.has_link() || is_behind)
}

/// Whether other sentinels count on the member's one, which does not watch.
fn is_missed(view: &View<'_>, member: &Member<'_>) -> bool {
    let is_own = |address: &str| member.addresses.iter().any(|own| own == address);
    let watching = view.watching();
    let mut known = watching.iter().flat_map(|watch| &watch.sentinel.others);
    known.any(|other| is_own(other.ip())) && view.watch(member).is_none()
}
