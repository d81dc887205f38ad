//! A lost quorum is never repaired here: which of the voters has the latest state is not for us to guess.

use plan::Refusal;
use types::HostName;

use super::quorum::Quorum;
use crate::observe::coordination::voter::{Voter, VoterState};
use crate::observe::view::Member;
use crate::settings::Coordination;
use kit::majority;

/// The consent to begin a new quorum without what the old one knew.
const CONSENT: &str = "clickhouse.new-quorum";

/// Why there is no quorum and none may be made by starting what does not run; `None` where there is one, or will be.
///
/// `starts` tells which voters this plan starts, or starts again.
pub(crate) fn refusal(
    quorum: &Quorum<'_>,
    starts: impl Fn(&HostName) -> bool,
    is_allowed: impl Fn(&str, &HostName) -> bool,
) -> Option<Refusal> {
    if quorum.is_available() || quorum.voters.is_empty() {
        return None;
    }
    out_of_reach(quorum)
        .or_else(|| outvoted(quorum, is_allowed))
        .or_else(|| no_leader(quorum, starts))
}

/// A majority cannot be reached.
fn out_of_reach(quorum: &Quorum<'_>) -> Option<Refusal> {
    let gone: Vec<&Voter> = quorum
        .voters
        .iter()
        .filter(|voter| match &voter.host {
            Some(_) => matches!(voter.state, VoterState::Unknown(_)),
            None => !voter.state.is_serving(),
        })
        .collect();
    let all = quorum.voters.len();
    // A quorum that is managed elsewhere may be electing its leader.
    let may_return = gone
        .iter()
        .all(|voter| !matches!(voter.state, VoterState::Unknown(_)));
    (all.saturating_sub(gone.len()) < majority(all)).then(|| {
        let why = format!(
            "{} of {all} members are unreachable: {}",
            gone.len(),
            describe(&gone)
        );
        let resolve = "bring them back first; the one with the latest state must be among them";
        let refusal = nothing_is_changed(quorum, why, resolve);
        if may_return { refusal.passing() } else { refusal }
    })
}

/// Blank voters would be a majority over those that know something.
fn outvoted(quorum: &Quorum<'_>, is_allowed: impl Fn(&str, &HostName) -> bool) -> Option<Refusal> {
    let view = quorum.view;
    let voters = quorum.membership.voters.iter();
    let members: Vec<&Member<'_>> = voters.filter_map(|host| view.member(host)).collect();
    let (past, blank): (Vec<&Member<'_>>, _) = members.into_iter().partition(|member| member.has_past);
    // Keeper's files exist as soon as it tried to start; that there is something to lose is proven by tables, those of stopped
    // servers too.
    let is_at_stake = !past.is_empty()
        && (view.settings.zookeeper().is_some()
            || view.has_tables()
            || past.iter().any(|member| view.has_tables_on_disk(member)));
    let all = quorum.voters.len();
    if !is_at_stake || past.len() >= majority(all) {
        return None;
    }
    let first = blank
        .iter()
        .find(|member| !is_allowed(CONSENT, member.host))?
        .host;
    let names = |members: &[&Member<'_>]| {
        let names: Vec<&str> = members.iter().map(|member| member.host.as_str()).collect();
        names.join(", ")
    };
    let why = format!(
        "only {} of {all} members knows what was agreed upon; {} are blank and would outvote it",
        names(&past),
        names(&blank)
    );
    let resolve = "put the data of the blank members back, or allow on each of them that what the old quorum knew is lost \
                   (replicated tables then need SYSTEM RESTORE REPLICA)";
    Some(nothing_is_changed(quorum, why, resolve).unless_allowed(CONSENT, first))
}

/// All run, and this plan starts none of them.
fn no_leader(quorum: &Quorum<'_>, starts: impl Fn(&HostName) -> bool) -> Option<Refusal> {
    if quorum.membership.voters.iter().any(starts) {
        return None;
    }
    let voters = quorum.voters.iter();
    let silent: Vec<&Voter> = voters.filter(|voter| !voter.state.is_serving()).collect();
    let refusal = nothing_is_changed(
        quorum,
        format!(
            "all {} members run, and none of them leads: {}",
            quorum.voters.len(),
            describe(&silent)
        ),
        "if they were started a moment ago, plan again in a minute; else their logs tell why they do not agree",
    );
    Some(refusal.passing())
}

fn nothing_is_changed(quorum: &Quorum<'_>, why: String, resolve: &str) -> Refusal {
    let program = match quorum.view.settings.coordination {
        Coordination::Keeper(_) => "Keeper",
        Coordination::ZooKeeper(_) | Coordination::External(_) => "ZooKeeper",
    };
    let what = format!("nothing is changed without a quorum of {program}");
    Refusal::new(what, why, resolve)
}

fn describe(voters: &[&Voter]) -> String {
    let words: Vec<String> = voters
        .iter()
        .map(|voter| format!("{} ({})", voter.name, voter.state.describe()))
        .collect();
    words.join(", ")
}
