//! Members of the quorum that leave while others join: who joins comes first.
//!
//! One member more, then one less: with both at once, old and new majorities need not overlap, and a member less before
//! one more leaves nothing to spare. So a member that leaves stays in everybody's files until all that are wanted serve,
//! and goes in a second round, in the step `leave`.

use plan::Facts;
use types::HostName;

use crate::rules::coordination::quorum::{self, Member, Peer, Quorum};
use crate::settings::{Coordination, Settings};

/// The settings of the first round, with the members that are still to stay; `None` where one round is enough.
pub(crate) fn first(settings: &Settings, facts: &Facts) -> Option<Settings> {
    let quorum = Quorum::find(settings, facts);
    let (added, removed) = quorum::changes(settings, &quorum, facts)?;
    let all_serve = quorum.members.iter().all(|member| member.peer.is_serving());
    let leavers: Vec<HostName> = removed
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|host| votes(settings, host, facts) && !has_begun(settings, &quorum, host, &added, facts))
        .collect();
    let all_vote = leavers.iter().all(|host| serves(settings, host, facts));
    let is_ready = added.is_empty() && all_serve && all_vote && all_know(settings, &quorum);
    if is_ready || leavers.is_empty() {
        return None;
    }
    let mut first = settings.clone();
    match &mut first.coordination {
        Coordination::Keeper(keeper) => keeper.members.extend(leavers.iter().cloned()),
        Coordination::ZooKeeper(zookeeper) => zookeeper.members.extend(leavers.iter().cloned()),
        Coordination::Named(_) => return None,
    }
    first.leavers = leavers;
    Some(first)
}

/// The member that leads although it is no member any more: it hands over before the others do without it.
pub(crate) fn foreign_leader(settings: &Settings, facts: &Facts) -> Option<HostName> {
    let elsewhere = settings.hosts.iter().chain(&settings.others);
    let mut elsewhere = elsewhere.filter(|host| !settings.members().contains(host));
    let leads = |host: &&HostName| {
        quorum::was_member(settings, host, facts)
            && matches!(quorum::peer_on(settings, host, facts), Peer::Leader(_))
    };
    elsewhere.find(leads).cloned()
}

/// Whether all members that tell what they run with run with all that are wanted.
fn all_know(settings: &Settings, quorum: &Quorum) -> bool {
    let confs = quorum.members.iter().filter_map(|member| member.conf.as_deref());
    let knows_all = |conf: &str| {
        let servers = formats::zoo::servers(conf);
        let is_named = |host: &HostName| servers.iter().any(|(_, name)| name == host.as_str());
        settings.members().iter().all(is_named)
    };
    confs.into_iter().all(knows_all)
}

/// Whether a member that leaves runs: one that follows nobody, for it does not know who leads, is to learn it.
fn votes(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let peer = quorum::peer_on(settings, host, facts);
    peer.is_serving() || (settings.zookeeper().is_some() && peer == Peer::Waiting)
}

fn serves(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    quorum::peer_on(settings, host, facts).is_serving()
}

/// Whether somebody does without a member already: then the second round has begun. Who serves runs with what it says, of
/// others the file tells; one that joins may have a file of its own past, from before that member came.
fn has_begun(
    settings: &Settings,
    quorum: &Quorum,
    leaver: &HostName,
    added: &[String],
    facts: &Facts,
) -> bool {
    let seen = quorum::seen(settings, facts);
    let does_without = |member: &Member| {
        let servers = match &member.conf {
            Some(conf) => formats::zoo::servers(conf),
            None => seen
                .iter()
                .find(|(host, _)| Some(host) == member.host.as_ref())
                .map(|(_, seen)| seen.servers.clone())
                .unwrap_or_default(),
        };
        let has = |name: &str| servers.iter().any(|(_, server)| server == name);
        has(&member.name) && !has(leaver.as_str())
    };
    let mut members = quorum.members.iter();
    members.any(|member| !added.contains(&member.name) && does_without(member))
}
