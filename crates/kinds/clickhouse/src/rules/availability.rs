//! The members that are unavailable.

use std::collections::BTreeSet;

use types::HostName;

use super::coordination::quorum::Quorum;
use crate::observe::coordination::voter::VoterState;
use crate::observe::view::Member;

/// The hosts whose server does not answer, or whose voter is not in the quorum; of a cluster that is available, only those
/// that it knows: one that is to join is not missed yet.
pub(crate) fn unavailable(quorum: &Quorum<'_>) -> BTreeSet<HostName> {
    let view = quorum.view;
    let is_available = |member: &Member<'_>| {
        let voter = quorum.on(member.host);
        let is_voting = voter
            .is_none_or(|voter| voter.state.is_serving() || matches!(voter.state, VoterState::Standalone(_)));
        is_voting && member.server.is_up()
    };
    let mut known: BTreeSet<&str> = quorum.current.iter().flatten().map(String::as_str).collect();
    for (_, live) in view.answering() {
        known.extend(live.cluster.iter().map(|(name, _)| name.as_str()));
    }
    let is_missed = |member: &Member<'_>| known.is_empty() || known.contains(member.host.as_str());
    let members = view.members.listed.iter();
    members
        .filter(|member| !is_available(member) && is_missed(member))
        .map(|member| member.host.clone())
        .collect()
}

/// Whether a host is the only one that is missed: then its start gives the budget back that it holds.
pub(crate) fn is_only_missed(quorum: &Quorum<'_>, host: &HostName) -> bool {
    unavailable(quorum).into_iter().eq([host.clone()])
}
