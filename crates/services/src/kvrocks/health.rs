//! Is it well: what gates wait for, which members do not serve, and the state that `clusterctl status` shows.

use std::collections::BTreeSet;

use plan::{Facts, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use super::gates;
use super::roles::{Roles, endpoint};
use super::settings::Settings;
use super::view::{Engine, Member, Talk, View, field, is_flagged_down};

/// What a gate's check says of the facts.
pub(super) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let member = host.and_then(|host| view.member(host));
    let found = match (check, member) {
        (gates::MEMBER_SERVING, Some(member)) => serving(&view, member),
        (gates::NEW_MASTER, Some(old)) => new_master(&view, old),
        (gates::SENTINEL_KNOWS, Some(member)) => sentinel_knows(&view, member),
        (gates::SENTINEL_AGREES, _) => sentinels_agree(&view),
        _ => return Verdict::Fail(format!("{} has no check {check:?} for that host", settings.name)),
    };
    match found {
        Ok(()) => Verdict::Pass,
        Err(why) => Verdict::Wait(why),
    }
}

/// The member answers with our password; a replica has caught up.
fn serving(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
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
    let master = roles.master().and_then(|master| view.member(master));
    if engine.is_master() {
        return match master {
            Some(master) if master.host != host => Err(format!(
                "{host} takes itself for a master, and the master is {}",
                master.host
            )),
            _ => Ok(()),
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

/// How far a replica is behind its master; never negative, for the two were not asked at the same moment.
fn lag(replica: &Engine, master: &Engine) -> Option<i64> {
    Some((master.offset()? - replica.offset()?).max(0))
}

/// All sentinels that answer name one other master, and the old one is a replica (or gone): Sentinel turns it into one
/// some ten seconds after the election (seen), and restarting it before that would start a second master.
fn new_master(view: &View<'_>, old: &Member<'_>) -> Result<(), String> {
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

fn sentinel_knows(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let name = &view.settings.sentinel.master_name;
    match &member.sentinel {
        Talk::Up(sentinel) if view.watched(sentinel).is_some() => Ok(()),
        Talk::Up(_) => Err(format!("the sentinel on {} does not watch {name}", member.host)),
        Talk::Down(why) | Talk::Denied(why) => {
            Err(format!("the sentinel on {} does not answer: {why}", member.host))
        }
    }
}

fn sentinels_agree(view: &View<'_>) -> Result<(), String> {
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
        if others + 1 < running {
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

/// The members whose engine does not answer.
pub(super) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let members = view.members.iter().filter(|member| member.engine.up().is_none());
    members.map(|member| member.host.clone()).collect()
}

/// Its state.
pub(super) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let roles = Roles::find(&view);
    let mut members = Vec::new();
    for member in &view.members {
        members.push(engine_status(&view, &roles, member));
        members.push(sentinel_status(&view, member));
    }
    let worst = |health| members.iter().any(|member| member.health == health);
    let master_serves = match &roles {
        Roles::Known { master, .. } => view
            .member(master)
            .is_some_and(|master| master.engine.up().is_some()),
        _ => false,
    };
    let health = if matches!(roles, Roles::Refused(_)) || (!master_serves && !worst(Health::Unknown)) {
        Health::Down
    } else if members.iter().all(|member| member.health == Health::Healthy) {
        Health::Healthy
    } else if master_serves {
        Health::Degraded
    } else {
        Health::Unknown
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "kvrocks".to_owned(),
        health,
        summary: summary(&view, &roles),
        members,
    }
}

fn summary(view: &View<'_>, roles: &Roles) -> String {
    let master = match roles {
        Roles::Known { master, .. } => master,
        Roles::First(_) => return "no member has a role yet".to_owned(),
        Roles::Refused(refusal) => return refusal.why.clone(),
        Roles::Unknown(why) => return why.clone(),
    };
    let engines = view.members.iter().filter_map(|member| member.engine.up());
    let replicas = engines.filter(|engine| !engine.is_master()).count();
    let watching = view.watching();
    let sentinels = match watching.first() {
        None => "no sentinel watches it".to_owned(),
        Some((_, _, fields)) => format!(
            "{} {}, quorum {}",
            count(watching.len(), "sentinel"),
            if watching.len() == 1 { "watches" } else { "agree" },
            field(fields, "quorum")
        ),
    };
    format!("master {master}, {}, {sentinels}", count(replicas, "replica"))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn engine_status(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> MemberStatus {
    let mut row = MemberStatus {
        host: member.host.clone(),
        process: view.settings.engine.name().to_owned(),
        role: String::new(),
        health: Health::Healthy,
        lag: String::new(),
        since_us: since(member.unit.as_ref().ok().copied()),
        detail: String::new(),
    };
    let engine = match (&member.engine, member.unreachable) {
        (_, Some(why)) => {
            row.health = Health::Unknown;
            why.clone_into(&mut row.detail);
            return row;
        }
        (Talk::Up(engine), None) => engine,
        (Talk::Down(why), None) => {
            row.health = Health::Down;
            row.detail.clone_from(why);
            return row;
        }
        (Talk::Denied(why), None) => {
            row.health = Health::Unknown;
            row.detail = format!("it refuses the password: {why}");
            return row;
        }
    };
    let master = roles.master().and_then(|master| view.member(master));
    if engine.is_master() {
        "master".clone_into(&mut row.role);
        row.detail = count_text(engine.number("connected_slaves"), "connected replica");
        if let Roles::Known { master, .. } = roles
            && master != member.host
        {
            row.health = Health::Degraded;
            row.detail = format!("{master} is the master, and this one follows nobody");
        }
    } else {
        "replica".clone_into(&mut row.role);
        let lag = master.and_then(|master| lag(engine, master.engine.up()?));
        row.lag = lag.map_or(String::new(), |lag| {
            format!("{lag} {}", view.settings.engine.lag_unit())
        });
        if !engine.has_link() {
            row.health = Health::Degraded;
            let followed = endpoint(engine.info("master_host"), engine.info("master_port"));
            row.detail = format!("its link to {followed} is down");
        }
    }
    if engine.is_loading() {
        row.health = Health::Degraded;
        "it is loading its data".clone_into(&mut row.detail);
    } else if !engine.authenticated {
        row.health = Health::Degraded;
        "it asks for no password".clone_into(&mut row.detail);
    }
    row
}

fn count_text(number: Option<i64>, what: &str) -> String {
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.map_or(String::new(), |number| count(number, what))
}

fn sentinel_status(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let (health, detail) = match (&member.sentinel, member.unreachable) {
        (_, Some(why)) => (Health::Unknown, why.to_owned()),
        (Talk::Down(why), None) => (Health::Down, why.clone()),
        (Talk::Denied(why), None) => (Health::Unknown, why.clone()),
        (Talk::Up(sentinel), None) => match view.watched(sentinel) {
            None => (
                Health::Degraded,
                format!("it does not watch {}", view.settings.sentinel.master_name),
            ),
            Some(master) => {
                let address = endpoint(field(master, "ip"), field(master, "port"));
                let others = field(master, "num-other-sentinels");
                let detail = format!("master {address}, {others} other sentinels");
                match &sentinel.quorum {
                    Err(words) => (Health::Degraded, words.clone()),
                    Ok(_) if is_flagged_down(master) => {
                        (Health::Degraded, format!("{detail}, {}", field(master, "flags")))
                    }
                    Ok(_) => (Health::Healthy, detail),
                }
            }
        },
    };
    MemberStatus {
        host: member.host.clone(),
        process: "sentinel".to_owned(),
        role: "sentinel".to_owned(),
        health,
        lag: String::new(),
        since_us: since(member.sentinel_unit.as_ref().ok().copied()),
        detail,
    }
}

fn since(unit: Option<&protocol::facts::UnitFact>) -> Option<i64> {
    unit.filter(|unit| unit.is_active()).map(|unit| unit.started_us)
}
