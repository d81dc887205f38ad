//! Whether a member can be removed, and sentinels can forget it.

use types::HostName;

use super::availability::unavailable;
use super::replication::{all_follow, engines_follow};
use super::roles::Roles;
use super::rollout::Rollout;
use super::sentinels::{has_quorum, sees_master};
use crate::observe::{Engine, Member, View, Watch};
use kit::{Probe, majority};

/// The consent to remove a host without proof that it can be spared.
pub(crate) const LEAVE: &str = "kvrocks.leave";
/// The time between two resets of sentinels, in milliseconds.
const APART: u64 = 30_000;

/// The sentinels that vote once a host is removed.
#[derive(Clone, Copy)]
pub(crate) struct Votes {
    /// Those that still run.
    pub(crate) staying: usize,
    /// All among whom a majority is counted until one is forgotten.
    pub(crate) total: usize,
}

/// Whether a host can be spared; otherwise what is not proven.
pub(crate) fn can_be_spared(
    rollout: &Rollout<'_, '_, '_>,
    former: &Member<'_>,
    votes: Votes,
) -> Result<(), String> {
    is_observed(rollout, former)?;
    role_can_move(rollout, former)?;
    let Votes { staying, total } = votes;
    let needed = rollout.view.settings.sentinel.quorum.max(majority(total));
    if staying < needed {
        return Err(format!(
            "without it {staying} of {total} sentinels are left, and {needed} must agree on a master until it is forgotten"
        ));
    }
    Ok(())
}

fn is_observed(rollout: &Rollout<'_, '_, '_>, former: &Member<'_>) -> Result<(), String> {
    if let Some(why) = former.unreachable {
        return Err(format!(
            "it cannot be reached, so its processes may still run: {why}"
        ));
    }
    if !rollout.cx.others.contains(former.host) {
        return Err("this plan does not observe it".to_owned());
    }
    match &former.engine {
        Probe::Denied(words) => Err(format!("its engine refuses the password: {words}")),
        Probe::Unknown(why) => Err(format!("its engine may run, and could not be asked: {why}")),
        Probe::Up(_) | Probe::Down(_) => Ok(()),
    }
}

/// It is a replica, or a master whose role another can take.
fn role_can_move(rollout: &Rollout<'_, '_, '_>, former: &Member<'_>) -> Result<(), String> {
    let master = rollout.master;
    let engine = former.engine.up();
    if former.host != master {
        if engine.is_some_and(Engine::is_master) {
            return Err(format!(
                "it reports the role master, and the master is {master}: writes to it are nowhere else"
            ));
        }
        return Ok(());
    }
    if engine.is_none() {
        return Err("it is the master, and does not answer: Sentinel elects another first".to_owned());
    }
    if !rollout.has_candidate() || rollout.sentinel_to_ask().is_none() {
        return Err("it is the master, and no replica can take over".to_owned());
    }
    Ok(())
}

/// All members are available, have caught up, and elect without the departing member, which is not the master.
pub(crate) fn members_suffice(view: &View<'_>, roles: &Roles, departing: &HostName) -> Result<(), String> {
    all_follow(view, roles)?;
    if let Some(host) = unavailable(view, roles).first() {
        return Err(format!("{host} is unavailable, or has not caught up"));
    }
    if roles.master() == Some(departing) {
        return Err(format!("{departing} is the master"));
    }
    let watching = view.watching();
    let former = view.former().into_iter();
    let voting = former.filter(|former| former.host != departing && view.watch(former).is_some());
    let voting = watching.len() + voting.count();
    for Watch {
        member,
        sentinel,
        master,
    } in &watching
    {
        let needed = majority(sentinel.others.len() + 1).max(master.number("quorum"));
        if voting < needed {
            return Err(format!(
                "{voting} sentinels watch beside its own, and by the one on {} {needed} must agree on a master",
                member.host
            ));
        }
    }
    Ok(())
}

/// Every member's sentinel knows all others and all replicas, and was not reset for a while.
pub(crate) fn all_known(view: &View<'_>, roles: &Roles) -> Result<(), String> {
    engines_follow(view, roles)?;
    view.members.listed.iter().try_for_each(|member| {
        let watch = view.watch(member);
        let watch =
            watch.ok_or_else(|| format!("the sentinel on {} does not watch the master", member.host))?;
        knows_all(view, &watch)
    })
}

fn knows_all(view: &View<'_>, watch: &Watch<'_, '_>) -> Result<(), String> {
    let (host, sentinel) = (watch.member.host, watch.sentinel);
    sees_master(watch)?;
    // Where the members alone are no majority of all whom it ever met, a reset is what makes them one.
    if view.members.listed.len() >= majority(sentinel.others.len() + 1) {
        has_quorum(watch)?;
    }
    let members = || view.members.listed.iter();
    for other in members().filter(|other| other.host != host) {
        if !sentinel.others.iter().any(|known| other.is_at(known.ip())) {
            let other = other.host;
            return Err(format!(
                "the sentinel on {host} does not know the one on {other} yet"
            ));
        }
    }
    for other in members() {
        let mut engines = std::iter::once(watch.master).chain(&sentinel.replicas);
        if !engines.any(|known| other.is_at(known.ip())) {
            let other = other.host;
            return Err(format!(
                "the sentinel on {host} does not know the engine on {other} yet"
            ));
        }
    }
    match watch.master.get("role-reported-time").parse::<u64>() {
        Ok(ago) if ago < APART => Err(format!("the sentinel on {host} was reset {} s ago", ago / 1_000)),
        _ => Ok(()),
    }
}

/// The same, and a member's sentinel knows no instance at an address.
pub(crate) fn forgotten(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    address: &str,
) -> Result<(), String> {
    all_known(view, roles)?;
    let sentinel = member.sentinel.up().ok_or("it does not answer")?;
    if sentinel.peers().any(|known| known.ip() == address) {
        return Err(format!("the sentinel on {} still knows {address}", member.host));
    }
    Ok(())
}
