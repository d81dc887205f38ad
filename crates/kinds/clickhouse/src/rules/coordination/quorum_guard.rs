//! A voter is restarted only while the others are a majority by themselves.
//!
//! The quorum is what its leader has, which may be more than the inventory names: a departing voter counts until the others
//! have learned of it, and a dead one takes the majority from a quorum that is otherwise complete.

use std::collections::BTreeSet;

use plan::Refusal;
use types::HostName;

use super::quorum::Quorum;
use super::rejoin;
use crate::observe::coordination::voter::VoterState;
use crate::rules::need::starts;
use kit::{Cx, Reason, majority};

/// The consent to do without a quorum while a voter restarts.
pub(crate) const CONSENT: &str = "clickhouse.outage";

/// Why a voter is not restarted; `None` where the others are enough. A quorum of two is none without either of them, which
/// is said when the inventory is read; there, all that the inventory names must be in the quorum.
///
/// `restarted` are those that this plan restarts one after another: each is in the quorum again before the next.
pub(crate) fn refusal(
    quorum: &Quorum<'_>,
    host: &HostName,
    restarted: &[HostName],
    reason: &Reason,
    cx: &Cx<'_>,
) -> Option<Refusal> {
    let own = quorum.on(host).filter(|voter| voter.state.may_serve())?;
    let names = quorum.names();
    let others = names.iter().filter(|name| **name != own.name);
    let (there, mut missing): (Vec<&str>, Vec<&str>) = others
        .map(String::as_str)
        .partition(|name| will_serve(quorum, name, restarted, cx));
    if quorum.membership.is_small() {
        let voters = &quorum.membership.voters;
        missing.retain(|name| voters.iter().any(|host| host.as_str() == *name));
    }
    let size = quorum.size();
    let is_complete = missing.is_empty() && size == names.len();
    let is_spared = there.len() >= majority(size) || is_complete || all_follow(quorum, &names);
    if is_spared || cx.is_allowed(CONSENT, host) {
        return None;
    }
    let why = format!(
        "the quorum of {} would be lost while it is down (unavailable: {})",
        names.join(", "),
        missing.join(", ")
    );
    let resolve = "bring the missing members back first; or allow that for some seconds nothing is written";
    let refusal = Refusal::new(format!("{host} is not restarted ({reason})"), why, resolve);
    Some(refusal.on(host).unless_allowed(CONSENT, host))
}

/// Whether another voter will be in the quorum by then: it is now, or this plan starts it before, again where it is in no
/// quorum. One that rejoins the quorum first does not know all voters that the others will, and would not follow each of
/// them.
fn will_serve(quorum: &Quorum<'_>, name: &str, restarted: &[HostName], cx: &Cx<'_>) -> bool {
    quorum.view.named(name).is_some_and(|member| {
        let is_started =
            || starts(cx, member.host, quorum.view.settings.quorum_unit()) || restarted.contains(member.host);
        member.voter.state.is_serving() || (is_started() && rejoin::voters(quorum, member.host).is_none())
    })
}

/// Whether a ZooKeeper that leads has all voters as followers. It counts those too that it leads and that have no vote yet
/// (`Leader.addForwardingFollower`). A Keeper counts dead ones (`KeeperServer::getSyncedFollowerCount`).
fn all_follow(quorum: &Quorum<'_>, names: &[String]) -> bool {
    if quorum.view.settings.keeper().is_some() {
        return false;
    }
    let has_no_vote = |host: &HostName| !names.iter().any(|name| name == host.as_str());
    let members = quorum.view.members.all();
    let more = members
        .filter(|member| has_no_vote(member.host) && member.voter.state.is_serving())
        .count();
    matches!(
        quorum.leader().map(|leader| &leader.state),
        Some(VoterState::Leader(Some(followers))) if followers.saturating_add(1) >= names.len() + more
    )
}

/// Whether the others are a majority now: the plan's own answer may be older than a voter's end. A quorum of two has none
/// to spare, and what the operator allowed is not asked about.
///
/// `in_vain` says that the voters look for a leader without coming to a choice.
pub(crate) fn spares(quorum: &Quorum<'_>, host: &HostName, in_vain: bool) -> Result<(), String> {
    if quorum.membership.is_small() {
        return Ok(());
    }
    let own = quorum.view.voter(host).state;
    match &own {
        VoterState::Down(_) | VoterState::Standalone(_) => return Ok(()),
        // An unknown state proves nothing.
        VoterState::Unknown(why) => return Err(why.clone()),
        VoterState::Leader(_) | VoterState::Follower | VoterState::Looking | VoterState::Silent(_) => {}
    }
    let names = quorum.names();
    let size = quorum.size();
    let others = Others::of(quorum, &names, host);
    if size < 3 {
        return Ok(());
    }
    if may_lead(quorum, &own) {
        can_choose_another(quorum, host)?;
    }
    if others.serving.len() >= majority(size) {
        return Ok(());
    }
    if own.may_serve() {
        let mut missing = others.missing.clone();
        if size > names.len() {
            missing.push("one that the leader has not removed yet");
        }
        return Err(format!(
            "of {size} only {} others are in the quorum, without {}",
            others.serving.len(),
            missing.join(", ")
        ));
    }
    others.can_choose_without(size, in_vain)
}

/// Whether a voter leads, or may: it does not tell, and no other does.
fn may_lead(quorum: &Quorum<'_>, own: &VoterState) -> bool {
    let mut all = quorum.view.members.all();
    own.is_leader()
        || (matches!(own, VoterState::Silent(_)) && !all.any(|member| member.voter.state.is_leader()))
}

/// Whether the others choose a leader while a `ZooKeeper` that leads is down. Each counts the votes of those that it runs
/// with, and for those (`FastLeaderElection.validVoter`): while some run with other voters than the rest, they may come to no
/// choice. So most of a list must run with that list, and none of it with another. Where leadership has moved since the plan
/// was made, the leader is not the last one any more that learns of a change.
fn can_choose_another(quorum: &Quorum<'_>, host: &HostName) -> Result<(), String> {
    if quorum.view.settings.zookeeper().is_none() {
        return Ok(());
    }
    let others = quorum.view.members.all().filter(|member| member.host != host);
    let lists: Vec<(&str, BTreeSet<&str>)> = others
        .filter(|member| member.voter.state.is_serving())
        .map(|member| {
            let list = member.running().iter().map(|(_, name)| name.as_str());
            (member.host.as_str(), list.collect())
        })
        .collect();
    let agrees = |list: &BTreeSet<&str>| {
        let of_it = || lists.iter().filter(|(name, _)| list.contains(name));
        of_it().all(|(_, other)| other == list) && of_it().count() >= majority(list.len())
    };
    if lists.iter().any(|(_, list)| agrees(list)) {
        return Ok(());
    }
    Err(format!(
        "{host} leads, and the others would choose no leader without it, for they do not run with the same members"
    ))
}

/// The other voters of a quorum as they are now.
struct Others<'q> {
    serving: Vec<&'q str>,
    missing: Vec<&'q str>,
    /// How many of the missing ones look for a leader.
    looking: usize,
    /// How many of the missing ones tell nothing, and may look for one.
    unknown: usize,
}

impl<'q> Others<'q> {
    fn of(quorum: &Quorum<'_>, names: &'q [String], host: &HostName) -> Self {
        let state = |name: &str| quorum.view.named(name).map(|member| &member.voter.state);
        let others = names
            .iter()
            .map(String::as_str)
            .filter(|name| *name != host.as_str());
        let (serving, missing): (Vec<&str>, Vec<&str>) =
            others.partition(|name| state(name).is_some_and(VoterState::is_serving));
        let count = |is_it: fn(&VoterState) -> bool| {
            let missing = missing.iter().filter_map(|name| state(name));
            missing.filter(|state| is_it(state)).count()
        };
        Self {
            looking: count(|state| *state == VoterState::Looking),
            unknown: count(|state| matches!(state, VoterState::Silent(_) | VoterState::Unknown(_))),
            serving,
            missing,
        }
    }

    /// Whether one that looks for a leader can be spared, where the others are no majority that is known to serve: it may follow
    /// a leader by now. During an election it is one of those that choose, and as good as one in the quorum, unless enough
    /// others are left that look in vain; or unless there are too few for any choice, those that tell nothing among them.
    fn can_choose_without(&self, all: usize, in_vain: bool) -> Result<(), String> {
        let others = self.serving.len() + self.looking;
        let cannot_choose = others + self.unknown + 1 < majority(all);
        let can_others = in_vain && others >= majority(all);
        if cannot_choose || can_others {
            Ok(())
        } else {
            Err(format!("{} of {all} members look for a leader", others + 1))
        }
    }
}
