//! Elections that come to no choice.

use std::collections::BTreeSet;

use protocol::UnitVerb;
use types::HostName;

use super::ids::Ids;
use super::quorum::Quorum;
use crate::observe::coordination::queries;
use crate::observe::coordination::voter::VoterState;
use crate::settings::ZooKeeper;
use kit::{Cx, Freshness};

/// Whether all voters run and none leads, and some may run with other voters than the others: such lists may never come to a
/// choice (`FastLeaderElection`). There is nothing to take away then, and servers that died of it come back only when one
/// leads. A voter that knows all voters may have to wait for the last to learn.
pub(crate) fn is_in_vain(quorum: &Quorum<'_>, zookeeper: &ZooKeeper, cx: &Cx<'_>) -> bool {
    let view = quorum.view;
    let query = queries::zoo_cfg(zookeeper);
    let is_unread = |host: &HostName| {
        let unit = view
            .member(host)
            .and_then(|member| member.voter_unit.as_ref().ok());
        let file = cx.facts.get(host, &query).ok();
        let freshness = unit
            .zip(file)
            .map(|(unit, file)| Freshness::of(&query.path, file, unit));
        freshness.is_some_and(|freshness| freshness.newer().is_some()) || cx.writes(host, &query.path)
    };
    let files = view.members.all().filter_map(|member| member.on_disk.as_ref());
    let lists = files.map(|files| {
        let mut names: Vec<&str> = files.servers.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names
    });
    let lists: BTreeSet<Vec<&str>> = lists.filter(|names| !names.is_empty()).collect();
    quorum
        .voters
        .iter()
        .all(|voter| voter.state == VoterState::Looking)
        && (lists.len() > 1 || quorum.membership.voters.iter().any(is_unread))
}

/// Whether the quorum misses a voter while it restarts. During an election, one that looks for a leader is as
/// good as one that follows.
pub(crate) fn is_needed(quorum: &Quorum<'_>, host: &HostName) -> bool {
    let Some(voter) = quorum.on(host) else {
        return false;
    };
    let is_electing = voter.state == VoterState::Looking && !quorum.is_led();
    quorum.is_in_use() && (voter.state.may_serve() || is_electing)
}

/// Whose turn it is when voters restart for other members: the next leader is the last, for while some run with others than
/// the rest, they may come to no choice of another one. A leader that an earlier step restarts leads no more; of voters that
/// know as much as each other the one with the greatest number is chosen (`FastLeaderElection.totalOrderPredicate`).
pub(crate) fn turn<'q>(
    quorum: &'q Quorum<'_>,
    cx: &'q Cx<'_>,
) -> impl Fn(&HostName) -> (bool, Option<u32>) + 'q {
    let unit = quorum.view.settings.quorum_unit();
    let ids = Ids::find(quorum.view, &quorum.membership.voters).ok();
    move |host| {
        let leads = quorum.leads(host) && !cx.tells(host, unit, UnitVerb::Restart);
        (leads, ids.as_ref().and_then(|ids| ids.of(host)))
    }
}
