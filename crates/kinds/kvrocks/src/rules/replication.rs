//! Whether engines are available and follow the master.

use types::HostName;

use super::roles::Roles;
use super::sentinels::quorum;
use crate::observe::{Engine, Member, View, Watch};
use kit::Probe;

/// The member answers with our password, and a replica has caught up. Where no member has a role yet, it may be a master
/// only if it `is_first`.
pub(crate) fn available(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    is_first: bool,
) -> Result<(), String> {
    let host = member.host;
    let engine = answers(view, member)?;
    roles.agree()?;
    if engine.is_master() {
        return match roles.known() {
            Some(master) if master == host => Ok(()),
            Some(master) => Err(second_master(host, master)),
            None if is_first => Ok(()),
            None => Err(format!("{host} reports the role master")),
        };
    }
    caught_up(view, roles.known(), host, engine)?;
    let watching = view.watching();
    watching.iter().try_for_each(|watch| sees(*watch, member))
}

/// The engine of a member that answers with our password, on our port, and has its data.
fn answers<'v>(view: &View<'_>, member: &'v Member<'_>) -> Result<&'v Engine, String> {
    let host = member.host;
    let engine = match &member.engine {
        Probe::Up(engine) => engine,
        Probe::Down(why) | Probe::Unknown(why) => return Err(format!("{host} does not answer: {why}")),
        Probe::Denied(why) => return Err(format!("{host} refuses the password: {why}")),
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
    Ok(engine)
}

fn second_master(host: &HostName, master: &HostName) -> String {
    format!("{host} reports the role master, and the master is {master}")
}

/// The replica has a link to its master, and a small lag at most.
fn caught_up(
    view: &View<'_>,
    master: Option<&HostName>,
    host: &HostName,
    engine: &Engine,
) -> Result<(), String> {
    if !engine.has_link() {
        return Err(format!("{host} has no link to {}", engine.follows()));
    }
    let kind = view.settings.engine;
    match master.and_then(|master| lag(view, master, engine)) {
        Some(lag) if lag > kind.small_lag() => Err(format!("{host} is {lag} {} behind", kind.lag_unit())),
        _ => Ok(()),
    }
}

/// A sentinel sees the replica up, with its link.
fn sees(watch: Watch<'_, '_>, member: &Member<'_>) -> Result<(), String> {
    let (at, host) = (watch.member.host, member.host);
    let mut replicas = watch.sentinel.replicas.iter();
    match replicas.find(|replica| member.addresses.iter().any(|own| own == replica.ip())) {
        None => Err(format!("the sentinel on {at} does not know {host} yet")),
        Some(replica) if replica.is_linked_replica() => Ok(()),
        Some(_) => Err(format!("the sentinel on {at} does not see {host} back yet")),
    }
}

/// Every engine follows, and there are sentinels enough to elect.
pub(crate) fn all_follow(view: &View<'_>, roles: &Roles) -> Result<(), String> {
    engines_follow(view, roles)?;
    quorum(view)
}

/// Every engine that answers follows the one master that the sentinels name, and has caught up, so that none that could be
/// elected lacks writes.
pub(crate) fn engines_follow(view: &View<'_>, roles: &Roles) -> Result<(), String> {
    roles.agree()?;
    let master = roles.master().ok_or("no master is known")?;
    let member = view.members.any(master);
    if !member.is_some_and(|member| member.engine.is_up()) {
        return Err(format!("the master {master} does not answer"));
    }
    for (member, engine) in view.engines().filter(|(member, _)| member.host != master) {
        if engine.is_master() {
            return Err(second_master(member.host, master));
        }
        if engine.is_loading() {
            return Err(format!("{} is loading its data", member.host));
        }
        caught_up(view, Some(master), member.host, engine)?;
    }
    Ok(())
}

/// How far a replica is behind the master; never negative, for the two were not asked at the same moment.
pub(crate) fn lag(view: &View<'_>, master: &HostName, replica: &Engine) -> Option<i64> {
    let master = view.members.any(master)?.engine.up()?;
    Some(master.offset()?.saturating_sub(replica.offset()?).max(0))
}

/// Each engine beside the master follows it and has all of its data. Writes are stopped meanwhile, so the offsets meet. One
/// without a link is waited for, because Sentinel may elect it.
pub(crate) fn replicas_level(view: &View<'_>, master: &Member<'_>) -> Result<(), String> {
    if !master.engine.is_up() {
        return Err(format!("{} does not answer", master.host));
    }
    let mut replicas = view
        .engines()
        .filter(|(replica, _)| replica.host != master.host)
        .peekable();
    if replicas.peek().is_none() {
        return Err(format!("no replica has a link to {}", master.host));
    }
    let unit = view.settings.engine.lag_unit();
    replicas.try_for_each(|(replica, engine)| match lag(view, master.host, engine) {
        _ if !engine.has_link() => Err(format!("{} has no link to {}", replica.host, engine.follows())),
        Some(0) => Ok(()),
        Some(lag) => Err(format!("{} is {lag} {unit} behind", replica.host)),
        None => Err(format!("{} does not tell its offset", replica.host)),
    })
}
