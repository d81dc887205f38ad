//! The members that are unavailable.

use std::collections::BTreeSet;

use types::HostName;

use super::coordination::quorum::Quorum;
use crate::observe::coordination::voter::VoterState;
use crate::observe::view::Member;

/// The hosts whose server does not answer, or whose voter is not in the quorum. Of a cluster that is available, only the
/// servers that it knows, and the voters that its quorum has: one that is to join is not missed yet.
pub(crate) fn unavailable(quorum: &Quorum<'_>) -> BTreeSet<HostName> {
    let view = quorum.view;
    let voters: BTreeSet<&str> = quorum.current.iter().flatten().map(String::as_str).collect();
    let clusters = view.answering().flat_map(|(_, live)| &live.cluster);
    let servers: BTreeSet<&str> = clusters.map(|(name, _)| name.as_str()).collect();
    // Where one of the two tells nothing, the other does.
    let is_known = |known: [&BTreeSet<&str>; 2], member: &Member<'_>| {
        let told = known.into_iter().find(|names| !names.is_empty());
        told.is_none_or(|names| names.contains(member.host.as_str()))
    };
    let is_voter_missed = |member: &Member<'_>| {
        let is_in_quorum =
            |state: &VoterState| state.is_serving() || matches!(state, VoterState::Standalone(_));
        let voter = quorum.on(member.host);
        is_known([&voters, &servers], member) && voter.is_some_and(|voter| !is_in_quorum(&voter.state))
    };
    let is_server_missed =
        |member: &Member<'_>| is_known([&servers, &voters], member) && !member.server.is_up();
    let members = view.members.listed.iter();
    members
        .filter(|member| is_voter_missed(member) || is_server_missed(member))
        .map(|member| member.host.clone())
        .collect()
}

/// Whether a host is the only one that is missed: then its start gives the budget back that it holds.
pub(crate) fn is_only_missed(quorum: &Quorum<'_>, host: &HostName) -> bool {
    unavailable(quorum).into_iter().eq([host.clone()])
}
