//! A `ZooKeeper` that is ahead of the quorum: it has read, or will read, members that the others do not know of yet.
//!
//! Whoever looks for a leader follows one only where more than half of its own members do
//! (`FastLeaderElection.receivedFollowingNotification`), and reads its members at its start only. Where a process dies
//! between its file and its turn, it may come back with a list that asks for more followers than there are: it waits for
//! the others, who cannot be restarted while it is missed. It serves nobody meanwhile, so it is the one that is restarted,
//! with the members that the leader has; its turn comes again when it is back.

use plan::Facts;
use types::HostName;

use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::settings::{Coordination, Settings};

/// The settings with the members that a host is to know for now; `None` where those that are wanted will do.
pub(crate) fn instead(settings: &Settings, host: &HostName, facts: &Facts) -> Option<Settings> {
    settings.zookeeper()?;
    if !matches!(
        quorum::peer_on(settings, host, facts),
        Peer::Waiting | Peer::Down(_)
    ) {
        return None;
    }
    let known = || settings.hosts.iter().chain(&settings.others);
    let mut leaders =
        known().filter(|host| matches!(quorum::peer_on(settings, host, facts), Peer::Leader(_)));
    let leader = leaders.next().filter(|_| leaders.next().is_none())?;
    let names = quorum::current(settings, &Quorum::find(settings, facts), facts)?;
    let current: Vec<HostName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let is_whole = current.len() == names.len() && current.contains(host);
    let is_led = |members: &[HostName]| {
        let serving = members
            .iter()
            .filter(|member| known().any(|known| known == *member))
            .filter(|member| quorum::peer_on(settings, member, facts).is_serving());
        members.contains(leader) && serving.count() > members.len() / 2
    };
    if !is_whole || is_led(settings.members()) || !is_led(&current) {
        return None;
    }
    let mut instead = settings.clone();
    if let Coordination::ZooKeeper(zookeeper) = &mut instead.coordination {
        zookeeper.members = current;
    }
    Some(instead)
}
