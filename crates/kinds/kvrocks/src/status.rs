//! The state that `clusterctl status` shows, and what a plan rests on.

use plan::{Basis, Facts, Health, MemberStatus, ServiceStatus};

use crate::observe::replies::{Talk, field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::health::lag;
use crate::rules::roles::{Roles, endpoint};
use crate::settings::Settings;

/// Its state.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
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

/// What a plan rests on: who is the master, and since which failover, as far as engines and sentinels tell; nothing where
/// nobody has a role yet.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    if let Roles::Known { master, .. } = Roles::find(&view) {
        basis.push(Basis::new("the master", &master));
    }
    // Each failover has a new epoch, and the sentinels agree on it
    // (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Configuration epochs").
    let epochs = view
        .watching()
        .into_iter()
        .filter_map(|(_, _, master)| field(master, "config-epoch").parse::<u64>().ok());
    basis.extend(epochs.max().map(|epoch| Basis::new("Sentinel's epoch", &epoch)));
    basis
}
