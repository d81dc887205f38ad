//! The health of the quorum.

use types::HostName;

use super::quorum::Quorum;
use crate::observe::coordination::voter::{Voter, VoterState};

/// One voter leads, and all that can be asked follow it. A voter on an unreachable host is none of this judgement's.
pub(crate) fn has_quorum(quorum: &Quorum<'_>) -> Result<(), String> {
    if quorum.voters.len() == 1 && quorum.is_available() {
        return Ok(());
    }
    let voters = quorum.voters.iter();
    let seen: Vec<&Voter> = voters
        .filter(|voter| !matches!(voter.state, VoterState::Unknown(_)))
        .collect();
    if let Some(voter) = seen.iter().find(|voter| !voter.state.is_serving()) {
        return Err(format!("{}: {}", voter.name, voter.state.describe()));
    }
    let leaders: Vec<_> = seen
        .iter()
        .filter_map(|voter| match voter.state {
            VoterState::Leader(followers) => Some((voter, followers)),
            _ => None,
        })
        .collect();
    let [(leader, followers)] = leaders.as_slice() else {
        return Err(format!("{} members lead", leaders.len()));
    };
    // A leader that was not restarted yet does not count a joining voter.
    let known = leader.conf.as_ref().map(|conf| conf.servers.len());
    let wanted = known
        .map_or(seen.len(), |known| known.min(seen.len()))
        .saturating_sub(1);
    if let Some(followers) = followers.filter(|&followers| followers < wanted) {
        return Err(format!(
            "{followers} of {wanted} followers are in sync with {}",
            leader.name
        ));
    }
    Ok(())
}

/// A host's voter is in the quorum, whether the inventory has it or not.
pub(crate) fn votes(quorum: &Quorum<'_>, host: &HostName) -> Result<(), String> {
    let state = quorum.view.voter(host).state;
    if state.is_serving() {
        Ok(())
    } else {
        Err(format!("{host}: {}", state.describe()))
    }
}

/// The leader's configuration is without a former voter. A Keeper does not tell its configuration; its leader counts no
/// more peers than there should be.
pub(crate) fn is_without(quorum: &Quorum<'_>, host: &HostName) -> Result<(), String> {
    let Some(leader) = quorum.leader() else {
        return Ok(());
    };
    let has_it = match &leader.conf {
        Some(conf) => conf.names(host.as_str()),
        None => leader.peers.is_some_and(|peers| peers >= quorum.voters.len()),
    };
    if has_it {
        Err(format!("{host} is still a member of the quorum"))
    } else {
        Ok(())
    }
}

/// A host's own Keeper is in the quorum, where it is a voter. Another one that joins follows only when the leader has
/// learned of it.
pub(crate) fn member_serves(quorum: &Quorum<'_>, host: &HostName) -> Result<(), String> {
    match quorum.on(host).map(|voter| &voter.state) {
        Some(VoterState::Standalone(_)) if quorum.voters.len() == 1 => Ok(()),
        Some(state) if !state.is_serving() => Err(format!("its Keeper: {}", state.describe())),
        Some(_) | None => Ok(()),
    }
}

/// A host's voter answers.
pub(crate) fn member_up(quorum: &Quorum<'_>, host: &HostName) -> Result<(), String> {
    match quorum.on(host).map(|voter| &voter.state) {
        Some(state @ (VoterState::Down(_) | VoterState::Silent(_) | VoterState::Unknown(_))) => {
            Err(state.describe())
        }
        Some(_) => Ok(()),
        None => Err(format!("{host} is no member of the quorum")),
    }
}
