//! The voters that a `ZooKeeper` is to know which is ahead of the quorum: it has read, or will read, voters that the others
//! do not know of yet.
//!
//! A voter that looks for a leader follows one only where more than half of its own voters do
//! (`FastLeaderElection.receivedFollowingNotification`), and reads its voters at its start only. Where a process dies
//! between its file and its turn, it may come back with a list that asks for more followers than there are: it waits for
//! the others, which cannot be restarted while it is missed. It is not in the quorum meanwhile, so it is the one that is
//! restarted, with the voters that the leader has; its turn comes again when it is back.

use types::HostName;

use super::quorum::Quorum;
use crate::observe::coordination::voter::VoterState;

/// The voters that a host is to know for now; `None` where those of the membership will do.
pub(crate) fn voters(quorum: &Quorum<'_>, host: &HostName) -> Option<Vec<HostName>> {
    let view = quorum.view;
    view.settings.zookeeper()?;
    let state = view.voter(host).state;
    if !matches!(state, VoterState::Looking | VoterState::Down(_)) {
        return None;
    }
    let mut leaders = view.members.all().filter(|member| member.voter.state.is_leader());
    let leader = leaders.next().filter(|_| leaders.next().is_none())?.host;
    let names = quorum.current.as_ref()?;
    let current: Vec<HostName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let is_complete = current.len() == names.len() && current.contains(host);
    let is_led = |voters: &[HostName]| {
        let members = voters.iter().filter_map(|host| view.member(host));
        let serving = members.filter(|member| member.voter.state.is_serving()).count();
        voters.contains(leader) && serving > voters.len() / 2
    };
    (is_complete && !is_led(&quorum.membership.voters) && is_led(&current)).then_some(current)
}
