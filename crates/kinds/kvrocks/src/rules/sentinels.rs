//! Whether sentinels watch, agree and could elect a master.

use types::HostName;

use super::roles::Roles;
use crate::observe::{Instance, Member, View, Watch};
use kit::Probe;

/// Each sentinel that watches reaches a quorum.
pub(crate) fn quorum(view: &View<'_>) -> Result<(), String> {
    view.watching().iter().try_for_each(has_quorum)
}

/// A sentinel reaches a quorum.
pub(crate) fn has_quorum(watch: &Watch<'_, '_>) -> Result<(), String> {
    match &watch.sentinel.quorum {
        Ok(_) => Ok(()),
        Err(words) => Err(format!("the sentinel on {} says {words}", watch.member.host)),
    }
}

/// All sentinels that answer name one other master.
pub(crate) fn promoted<'r>(roles: &'r Roles, old: &HostName) -> Result<&'r HostName, String> {
    roles.agree()?;
    let master = roles.master().filter(|_| roles.are_sentinels());
    let master = master.ok_or("no sentinel names a master")?;
    if master == old {
        return Err(format!("the sentinels still name {master}"));
    }
    Ok(master)
}

/// The same, and the old one is a replica (or gone): Sentinel turns it into one some ten seconds after the election (seen),
/// and restarting it before that would start a second master.
pub(crate) fn new_master(roles: &Roles, old: &Member<'_>) -> Result<(), String> {
    let master = promoted(roles, old.host)?;
    match &old.engine {
        Probe::Up(engine) if engine.is_master() => Err(format!(
            "{master} is the master, and {} is not a replica yet",
            old.host
        )),
        Probe::Up(_) | Probe::Down(_) => Ok(()),
        Probe::Denied(why) | Probe::Unknown(why) => {
            Err(format!("{} may still report the role master: {why}", old.host))
        }
    }
}

/// The sentinel of a member watches the master.
pub(crate) fn sentinel_watches(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let (host, name) = (member.host, &view.settings.sentinel.master_name);
    match &member.sentinel {
        Probe::Up(_) if view.watch(member).is_some() => Ok(()),
        Probe::Up(_) => Err(format!("the sentinel on {host} does not watch {name}")),
        Probe::Down(why) | Probe::Unknown(why) | Probe::Denied(why) => {
            Err(format!("the sentinel on {host} does not answer: {why}"))
        }
    }
}

/// All sentinels that answer watch, know each other and all replicas, and have a quorum.
pub(crate) fn sentinels_agree(view: &View<'_>, roles: &Roles) -> Result<(), String> {
    roles.agree()?;
    let members = view.members.listed.iter();
    let running = members.filter(|member| member.sentinel.is_up()).count();
    let replicas = view.engines().filter(|(_, engine)| !engine.is_master()).count();
    let watching = view.watching();
    for watch in &watching {
        let host = watch.member.host;
        let others: usize = watch.master.number("num-other-sentinels");
        if others.saturating_add(1) < running {
            let all = running - 1;
            return Err(format!("the sentinel on {host} knows {others} of {all} others"));
        }
        let known: usize = watch.master.number("num-slaves");
        if known < replicas {
            return Err(format!(
                "the sentinel on {host} knows {known} of {replicas} replicas"
            ));
        }
        has_quorum(watch)?;
        sees_master(watch)?;
    }
    match watching.len() {
        watching if watching == 0 || watching < running => {
            Err(format!("{watching} of {running} sentinels watch the master"))
        }
        _ => Ok(()),
    }
}

/// A sentinel sees the master up.
pub(crate) fn sees_master(watch: &Watch<'_, '_>) -> Result<(), String> {
    let flags = watch.master.flags();
    if watch.master.is_down() {
        return Err(format!(
            "the sentinel on {} says the master is {flags}",
            watch.member.host
        ));
    }
    Ok(())
}

/// The replicas that Sentinel could elect: up, linked, with a priority that is not 0
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Replica selection and priority").
pub(crate) fn candidates<'v>(watch: &Watch<'v, '_>) -> impl Iterator<Item = &'v Instance> {
    let replicas = watch.sentinel.replicas.iter();
    replicas.filter(|replica| replica.is_linked_replica() && replica.get("slave-priority") != "0")
}
