//! What must be so before a member is removed, and before and after sentinels forget it.

use types::HostName;

use crate::observe::replies::{field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::availability::unavailable;
use crate::rules::health;
use crate::rules::roles::Roles;

/// The consent to let a host go without the proof.
pub(crate) const LEAVE: &str = "kvrocks.leave";
/// Sentinels are reset so far apart, in milliseconds.
const APART: u64 = 30_000;

/// All members serve, have caught up, and elect without the leaver, which is not the master.
pub(crate) fn staying(view: &View<'_>, leaver: &HostName) -> Result<(), String> {
    health::followers(view)?;
    if let Some(away) = unavailable(view).first() {
        return Err(format!("{away} does not serve, or has not caught up"));
    }
    let roles = Roles::find(view);
    if roles.master() == Some(leaver) {
        return Err(format!("{leaver} is the master"));
    }
    let watching = view.watching();
    let watches = |former: &&&Member<'_>| {
        let sentinel = former.sentinel.up();
        former.host != leaver && sentinel.is_some_and(|sentinel| view.watched(sentinel).is_some())
    };
    let electing = watching.len() + view.former().iter().filter(watches).count();
    for (member, sentinel, master) in &watching {
        let voters = sentinel.others.len() + 1;
        let quorum = field(master, "quorum").parse().unwrap_or(0);
        let needed = (voters / 2 + 1).max(quorum);
        if electing < needed {
            return Err(format!(
                "{electing} sentinels watch beside its own, and by the one on {} {needed} must agree on a master",
                member.host
            ));
        }
    }
    Ok(())
}

/// Every member's sentinel knows all others and all replicas, and was not made to forget anybody for a while.
pub(crate) fn found(view: &View<'_>) -> Result<(), String> {
    health::followers(view)?;
    for member in &view.members {
        let host = member.host;
        let Some((sentinel, master)) = member
            .sentinel
            .up()
            .and_then(|sentinel| Some((sentinel, view.watched(sentinel)?)))
        else {
            return Err(format!("the sentinel on {host} does not watch the master"));
        };
        if is_flagged_down(master) {
            return Err(format!(
                "the sentinel on {host} says the master is {}",
                field(master, "flags")
            ));
        }
        for other in view.members.iter().filter(|other| other.host != host) {
            if !sentinel.others.iter().any(|row| other.is_at(field(row, "ip"))) {
                return Err(format!(
                    "the sentinel on {host} does not know the one on {} yet",
                    other.host
                ));
            }
        }
        for other in &view.members {
            let mut engines = std::iter::once(master).chain(&sentinel.replicas);
            if !engines.any(|row| other.is_at(field(row, "ip"))) {
                return Err(format!(
                    "the sentinel on {host} does not know the engine on {} yet",
                    other.host
                ));
            }
        }
        if let Ok(ago) = field(master, "role-reported-time").parse::<u64>()
            && ago < APART
        {
            return Err(format!("the sentinel on {host} began anew {} s ago", ago / 1_000));
        }
    }
    Ok(())
}

/// The same, and a member's sentinel knows nobody at an address.
pub(crate) fn forgotten(view: &View<'_>, member: &Member<'_>, address: &str) -> Result<(), String> {
    found(view)?;
    let sentinel = member.sentinel.up().ok_or("it does not answer")?;
    let mut rows = sentinel.replicas.iter().chain(&sentinel.others);
    if rows.any(|row| field(row, "ip") == address) {
        return Err(format!("the sentinel on {} still knows {address}", member.host));
    }
    Ok(())
}
