//! The membership while voters join and others leave: joining comes first.
//!
//! One voter more, then one less: with both at once, old and new majorities need not overlap, and a voter less before one
//! more leaves nothing to spare. So a departing voter stays in all files until all others are in the quorum, and leaves in
//! a second round, in the step `leave`.

use types::HostName;

use super::quorum::Quorum;
use crate::observe::coordination::voter::{Voter, VoterState};
use crate::observe::view::View;
use crate::settings::Coordination;

/// The quorum with the membership of the present round.
pub(crate) fn quorum<'v>(view: &'v View<'v>) -> Quorum<'v> {
    let wanted = Quorum::of_inventory(view);
    let departing = departing(&wanted);
    if departing.is_empty() {
        return wanted;
    }
    let voters = wanted
        .membership
        .voters
        .iter()
        .chain(&departing)
        .cloned()
        .collect();
    Quorum::new(view, voters, departing)
}

/// The departing voters that still stay; none in the second round.
fn departing(quorum: &Quorum<'_>) -> Vec<HostName> {
    if matches!(quorum.view.settings.coordination, Coordination::External(_)) {
        return Vec::new();
    }
    let removed = quorum.removed().into_iter().filter_map(|name| name.parse().ok());
    let departing: Vec<HostName> = removed
        .filter(|host| counts(quorum, host) && !is_removed_by_some(quorum, host))
        .collect();
    let serves = |host: &HostName| quorum.view.voter(host).state.is_serving();
    let all_serve = quorum.voters.iter().all(|voter| voter.state.is_serving());
    let is_ready =
        quorum.membership.joining.is_empty() && all_serve && departing.iter().all(serves) && all_know(quorum);
    if is_ready { Vec::new() } else { departing }
}

/// Whether a departing voter runs. A ZooKeeper without a leader may be one that does not know the leader, and is to learn of
/// it.
fn counts(quorum: &Quorum<'_>, host: &HostName) -> bool {
    let state = quorum.view.voter(host).state;
    state.is_serving() || (quorum.view.settings.zookeeper().is_some() && state == VoterState::Looking)
}

/// Whether all voters that tell their running configuration have all voters of the membership in it.
fn all_know(quorum: &Quorum<'_>) -> bool {
    let mut confs = quorum.voters.iter().filter_map(|voter| voter.conf.as_ref());
    let voters = &quorum.membership.voters;
    confs.all(|conf| voters.iter().all(|host| conf.names(host.as_str())))
}

/// Whether some voter runs without a departing one already: then the second round has begun. The running configuration
/// tells, or else the file. A joining voter is not asked: its file may be older than the departing one.
fn is_removed_by_some(quorum: &Quorum<'_>, departing: &HostName) -> bool {
    let is_without = |voter: &Voter| {
        let on_disk = || {
            let member = quorum.view.member(voter.host.as_ref()?)?;
            Some(member.on_disk.as_ref()?.servers.as_slice())
        };
        let running = voter.conf.as_ref().map(|conf| conf.servers.as_slice());
        let servers = running.or_else(on_disk).unwrap_or_default();
        let names = |wanted: &str| servers.iter().any(|(_, name)| name == wanted);
        names(&voter.name) && !names(departing.as_str())
    };
    let joins = |voter: &Voter| {
        voter
            .host
            .as_ref()
            .is_some_and(|host| quorum.membership.joining.contains(host))
    };
    quorum
        .voters
        .iter()
        .any(|voter| !joins(voter) && is_without(voter))
}
