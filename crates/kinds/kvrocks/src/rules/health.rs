//! Whether members, replication and sentinels are healthy.

use types::HostName;

use crate::observe::replies::{Engine, Talk, field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::role_assignment::is_astray;
use crate::rules::roles::{Roles, endpoint};

/// Why a replica will not come to follow the master, however long it is waited for.
pub(crate) fn goes_astray(view: &View<'_>, member: &Member<'_>) -> Option<String> {
    let roles = Roles::find(view);
    let engine = member.engine.up().filter(|_| is_astray(view, &roles, member))?;
    let followed = endpoint(engine.info("master_host"), engine.info("master_port"));
    let (host, master) = (member.host, roles.master()?);
    Some(format!(
        "{host} follows {followed}, the master is {master}, and no sentinel knows {host}: plan again"
    ))
}

/// The member answers with our password; a replica has caught up. Where nobody follows anybody yet, it may be a master
/// only if it is meant to become the first one.
pub(crate) fn serving(view: &View<'_>, member: &Member<'_>, is_first: bool) -> Result<(), String> {
    let host = member.host;
    let engine = match &member.engine {
        Talk::Up(engine) => engine,
        Talk::Down(why) => return Err(format!("{host} does not answer: {why}")),
        Talk::Denied(why) => return Err(format!("{host} refuses the password: {why}")),
    };
    if !engine.authenticated {
        return Err(format!("{host} asks for no password"));
    }
    if engine.at.1 != view.settings.port {
        return Err(format!("{host} listens on port {}", engine.at.1));
    }
    if engine.is_loading() {
        return Err(format!("{host} is loading its data"));
    }
    let roles = Roles::find(view);
    if let Roles::Refused(refusal) = &roles {
        return Err(refusal.why.clone());
    }
    let master = match &roles {
        Roles::Known { master, .. } => view.member(master),
        _ => None,
    };
    if engine.is_master() {
        return match master {
            Some(master) if master.host == host => Ok(()),
            Some(master) => Err(format!(
                "{host} takes itself for a master, and the master is {}",
                master.host
            )),
            None if is_first => Ok(()),
            None => Err(format!("{host} takes itself for a master")),
        };
    }
    caught_up(view, host, engine, master)?;
    for (at, sentinel, _) in view.watching() {
        let row = sentinel.replicas.iter().find(|row| {
            let ip = field(row, "ip");
            member.addresses.iter().any(|own| own == ip)
        });
        match row {
            None => return Err(format!("the sentinel on {} does not know {host} yet", at.host)),
            Some(row) if is_flagged_down(row) || field(row, "master-link-status") != "ok" => {
                return Err(format!(
                    "the sentinel on {} does not see {host} back yet",
                    at.host
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn caught_up(
    view: &View<'_>,
    host: &HostName,
    engine: &Engine,
    master: Option<&Member<'_>>,
) -> Result<(), String> {
    if !engine.has_link() {
        let followed = endpoint(engine.info("master_host"), engine.info("master_port"));
        return Err(format!("{host} has no link to {followed}"));
    }
    let lag = master.and_then(|master| lag(engine, master.engine.up()?));
    match lag {
        Some(lag) if lag > view.settings.engine.small_lag() => Err(format!(
            "{host} is {lag} {} behind",
            view.settings.engine.lag_unit()
        )),
        _ => Ok(()),
    }
}

/// Whoever answers follows the one master that the sentinels name, and has caught up, so that none of them could be elected
/// and lack what was written; and there are sentinels enough to elect.
pub(crate) fn followers(view: &View<'_>) -> Result<(), String> {
    let roles = Roles::find(view);
    if let Roles::Refused(refusal) = &roles {
        return Err(refusal.why.clone());
    }
    let master = roles.master().and_then(|master| view.member(master));
    let master = master.ok_or("nobody names a master")?;
    if master.engine.up().is_none() {
        return Err(format!("the master {} does not answer", master.host));
    }
    for member in view.members.iter().filter(|member| member.host != master.host) {
        let Some(engine) = member.engine.up() else {
            continue;
        };
        if engine.is_master() {
            return Err(format!(
                "{} takes itself for a master, and the master is {}",
                member.host, master.host
            ));
        }
        if engine.is_loading() {
            return Err(format!("{} is loading its data", member.host));
        }
        caught_up(view, member.host, engine, Some(master))?;
    }
    for (member, sentinel, _) in view.watching() {
        if let Err(words) = &sentinel.quorum {
            return Err(format!("the sentinel on {} says {words}", member.host));
        }
    }
    Ok(())
}

/// How far a replica is behind its master; never negative, for the two were not asked at the same moment.
pub(crate) fn lag(replica: &Engine, master: &Engine) -> Option<i64> {
    Some(master.offset()?.saturating_sub(replica.offset()?).max(0))
}

/// Each replica with a link to the master has all that the master has. Nothing is written meanwhile, so their offsets
/// meet.
pub(crate) fn replicas_level(view: &View<'_>, master: &Member<'_>) -> Result<(), String> {
    let Talk::Up(engine) = &master.engine else {
        return Err(format!("{} does not answer", master.host));
    };
    let mut linked = 0;
    for replica in &view.members {
        let Some(other) = replica.engine.up().filter(|other| other.has_link()) else {
            continue;
        };
        linked += 1;
        match lag(other, engine) {
            Some(0) => {}
            Some(lag) => return Err(format!("{} is {lag} B behind", replica.host)),
            None => return Err(format!("{} does not tell how far it is", replica.host)),
        }
    }
    if linked == 0 {
        return Err(format!("no replica has a link to {}", master.host));
    }
    Ok(())
}

/// All sentinels that answer name one other master, and the old one is a replica (or gone): Sentinel turns it into one
/// some ten seconds after the election (seen), and restarting it before that would start a second master.
pub(crate) fn new_master(view: &View<'_>, old: &Member<'_>) -> Result<(), String> {
    let roles = Roles::find(view);
    if let Roles::Refused(refusal) = &roles {
        return Err(refusal.why.clone());
    }
    let master = roles.master().filter(|_| roles.are_sentinels());
    let master = master.ok_or("no sentinel names a master")?;
    if master == old.host {
        return Err(format!("the sentinels still name {master}"));
    }
    if let Some(engine) = old.engine.up()
        && engine.is_master()
    {
        return Err(format!(
            "{master} is the master, and {} is not a replica yet",
            old.host
        ));
    }
    Ok(())
}

pub(crate) fn sentinel_knows(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let name = &view.settings.sentinel.master_name;
    match &member.sentinel {
        Talk::Up(sentinel) if view.watched(sentinel).is_some() => Ok(()),
        Talk::Up(_) => Err(format!("the sentinel on {} does not watch {name}", member.host)),
        Talk::Down(why) | Talk::Denied(why) => {
            Err(format!("the sentinel on {} does not answer: {why}", member.host))
        }
    }
}

pub(crate) fn sentinels_agree(view: &View<'_>) -> Result<(), String> {
    let roles = Roles::find(view);
    if let Roles::Refused(refusal) = &roles {
        return Err(refusal.why.clone());
    }
    let running = view.sentinels().count();
    let replicas = view.members.iter().filter_map(|member| member.engine.up());
    let replicas = replicas.filter(|engine| !engine.is_master()).count();
    let mut watching = 0;
    for (member, sentinel, master) in view.watching() {
        watching += 1;
        let host = member.host;
        let number = |name| field(master, name).parse::<usize>().unwrap_or(0);
        let others = number("num-other-sentinels");
        if others.saturating_add(1) < running {
            return Err(format!(
                "the sentinel on {host} knows {others} of {} others",
                running - 1
            ));
        }
        let known = number("num-slaves");
        if known < replicas {
            return Err(format!(
                "the sentinel on {host} knows {known} of {replicas} replicas"
            ));
        }
        if let Err(words) = &sentinel.quorum {
            return Err(format!("the sentinel on {host} says {words}"));
        }
        if is_flagged_down(master) {
            return Err(format!(
                "the sentinel on {host} says the master is {}",
                field(master, "flags")
            ));
        }
    }
    if watching < running || watching == 0 {
        return Err(format!("{watching} of {running} sentinels watch the master"));
    }
    Ok(())
}
