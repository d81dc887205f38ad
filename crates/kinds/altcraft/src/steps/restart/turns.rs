//! The order in which hosts are restarted.

use crate::observe::{Member, View};
use crate::rules::membership::{all, former};
use crate::rules::role_move::{old_masters, role_moves};
use crate::settings::Program;
use kit::Cx;

/// A host's turn.
pub(super) enum Turn<'v, 'a> {
    /// A former member that has the master's role gives it up.
    GiveUp(&'v Member<'a>),
    /// The next master does not serve, and another still has the role: it is started with the main.json that it has, to
    /// take the other's place meanwhile.
    StartAsItIs(&'v Member<'a>),
    /// It comes to run with the main.json that it should have.
    Renew(&'v Member<'a>),
}

/// When a host has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It has the role, or keeps it, and does not serve.
    MasterDown,
    Down,
    OldMaster,
    /// The master, before the others.
    MasterFirst,
    Follower,
    /// The master, after the others have shown that they start with the new main.json.
    MasterLast,
}

/// The turns in order.
///
/// Hosts that do not serve come before those that do. Where the role moves, the old master gives it up first, and the new
/// one comes next: never two, and none for a moment only. The master comes first where no host serves, or where hosts read
/// groups, which are defined by it; else last.
pub(super) fn turns<'v, 'a>(view: &'v View<'a>, cx: &Cx<'_>) -> Vec<Turn<'v, 'a>> {
    let settings = view.settings;
    let (old, moves) = (old_masters(view), role_moves(view));
    let is_old = |member: &Member<'_>| old.contains(member.host.as_str());
    let groups = settings.groups.as_ref();
    let read_groups = groups.is_some_and(|groups| !groups.readers.is_empty());
    let master_first = moves || read_groups || !view.members.listed.iter().any(Member::serves);
    let rank = |member: &Member<'_>| match (is_old(member), settings.is_master(member.host), member.serves())
    {
        (true, _, false) => Rank::MasterDown,
        (true, _, true) => Rank::OldMaster,
        (false, true, false) if !moves => Rank::MasterDown,
        (false, true, _) if master_first => Rank::MasterFirst,
        (false, true, true) => Rank::MasterLast,
        (false, false, true) => Rank::Follower,
        (false, _, false) => Rank::Down,
    };
    let leaving = former(view).filter(|member| cx.others.contains(member.host) && is_old(member));
    let mut turns: Vec<(Rank, Turn<'_, '_>)> = leaving
        .map(|member| (Rank::OldMaster, Turn::GiveUp(member)))
        .collect();
    let members = cx.hosts.iter().filter_map(|host| view.members.listed(host));
    turns.extend(members.map(|member| (rank(member), Turn::Renew(member))));
    let next = cx.hosts.iter().find(|host| settings.is_master(host));
    let old_serves = all(view).any(|member| is_old(member) && member.serves());
    if let Some(next) = next.and_then(|host| view.members.listed(host))
        && old_serves
        && !next.serves()
        && starts_as_follower(next)
    {
        turns.push((Rank::Down, Turn::StartAsItIs(next)));
    }
    turns.sort_by_key(|(rank, _)| *rank);
    turns.into_iter().map(|(_, turn)| turn).collect()
}

/// Whether its main.json names another host, and one only, as master.
fn starts_as_follower(member: &Member<'_>) -> bool {
    let names_itself = Program::ALL
        .into_iter()
        .any(|program| member.names_itself_master(program));
    !names_itself && member.named_masters(Program::Proctask).len() == 1
}
