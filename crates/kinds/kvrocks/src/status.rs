//! The state that `clusterctl status` shows, and the basis of a plan.

use plan::{Basis, Facts, Health, MemberStatus, ServiceStatus};

use crate::observe::{Engine, Member, View};
use crate::rules::file_drift::file_drifts;
use crate::rules::find_roles::find_roles;
use crate::rules::replication::lag;
use crate::rules::roles::Roles;
use crate::settings::Settings;
use kit::{Probe, process_status};

/// Its state.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let roles = find_roles(&view);
    let members = view.members.listed.iter();
    let members: Vec<MemberStatus> = members
        .flat_map(|member| {
            [
                engine_status(&view, &roles, member),
                sentinel_status(&view, member),
            ]
        })
        .collect();
    let any = |health| members.iter().any(|member| member.health == health);
    let master = roles.known().and_then(|master| view.members.any(master));
    let has_master = master.is_some_and(|master| master.engine.is_up());
    let health = if roles.agree().is_err() || (!has_master && !any(Health::Unknown)) {
        Health::Down
    } else if members.iter().all(|member| member.health == Health::Healthy) {
        Health::Healthy
    } else if has_master {
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
    let replicas = view.engines().filter(|(_, engine)| !engine.is_master()).count();
    let watching = view.watching();
    let sentinels = match watching.first() {
        None => "no sentinel watches it".to_owned(),
        Some(watch) => format!(
            "{} {}, quorum {}",
            count(watching.len(), "sentinel"),
            if watching.len() == 1 { "watches" } else { "agree" },
            watch.master.get("quorum")
        ),
    };
    format!("master {master}, {}, {sentinels}", count(replicas, "replica"))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn engine_status(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> MemberStatus {
    let unit = member.unit.as_ref().ok().copied();
    let mut row = process_status(member.host, view.settings.engine.name(), unit);
    match (&member.engine, member.unreachable) {
        (_, Some(why)) => (row.health, row.detail) = (Health::Unknown, why.to_owned()),
        (Probe::Up(engine), None) => running_engine(view, roles, member, engine, &mut row),
        (Probe::Down(why), None) => (row.health, row.detail) = (Health::Down, why.clone()),
        (Probe::Unknown(why), None) => (row.health, row.detail) = (Health::Unknown, why.clone()),
        (Probe::Denied(why), None) => {
            (row.health, row.detail) = (Health::Unknown, format!("it refuses the password: {why}"));
        }
    }
    row
}

fn running_engine(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    engine: &Engine,
    row: &mut MemberStatus,
) {
    if engine.is_master() {
        "master".clone_into(&mut row.role);
        let replicas = engine.number("connected_slaves");
        let replicas = replicas.and_then(|replicas| usize::try_from(replicas).ok());
        row.detail = replicas.map_or(String::new(), |replicas| count(replicas, "connected replica"));
        if let Some(master) = roles.known().filter(|master| *master != member.host) {
            row.health = Health::Degraded;
            row.detail = format!("{master} is the master, and this one is no replica");
        }
    } else {
        "replica".clone_into(&mut row.role);
        let unit = view.settings.engine.lag_unit();
        let lag = roles.master().and_then(|master| lag(view, master, engine));
        row.lag = lag.map_or(String::new(), |lag| format!("{lag} {unit}"));
        if !engine.has_link() {
            row.health = Health::Degraded;
            row.detail = format!("its link to {} is down", engine.follows());
        }
    }
    let drifts = file_drifts(member, engine);
    if !drifts.is_empty() {
        let keys: Vec<&str> = drifts.iter().map(|drift| drift.key.as_str()).collect();
        let drift = format!("differs from its file in {}", keys.join(", "));
        let detail = std::mem::take(&mut row.detail);
        row.detail = [detail, drift]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
    if engine.is_loading() {
        row.health = Health::Degraded;
        "it is loading its data".clone_into(&mut row.detail);
    } else if !engine.authenticated {
        row.health = Health::Degraded;
        "it asks for no password".clone_into(&mut row.detail);
    }
}

fn sentinel_status(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let (health, detail) = match (&member.sentinel, member.unreachable) {
        (_, Some(why)) => (Health::Unknown, why.to_owned()),
        (Probe::Down(why), None) => (Health::Down, why.clone()),
        (Probe::Unknown(why) | Probe::Denied(why), None) => (Health::Unknown, why.clone()),
        (Probe::Up(_), None) => running_sentinel(view, member),
    };
    let unit = member.sentinel_unit.as_ref().ok().copied();
    MemberStatus {
        role: "sentinel".to_owned(),
        health,
        detail,
        ..process_status(member.host, "sentinel", unit)
    }
}

fn running_sentinel(view: &View<'_>, member: &Member<'_>) -> (Health, String) {
    let Some(watch) = view.watch(member) else {
        let name = &view.settings.sentinel.master_name;
        return (Health::Degraded, format!("it does not watch {name}"));
    };
    let master = watch.master;
    let others = master.get("num-other-sentinels");
    let detail = format!("master {}, {others} other sentinels", master.endpoint());
    match &watch.sentinel.quorum {
        Err(words) => (Health::Degraded, words.clone()),
        Ok(_) if master.is_down() => (Health::Degraded, format!("{detail}, {}", master.flags())),
        Ok(_) => (Health::Healthy, detail),
    }
}

/// The basis of a plan: the master, and the failovers since, as far as engines and sentinels tell; nothing where no member
/// has a role yet.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let roles = find_roles(&view);
    let master = roles.known().map(|master| Basis::new("the master", master));
    // Each failover has a new epoch, and the sentinels agree on it
    // (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Configuration epochs").
    let watching = view.watching().into_iter();
    let epochs = watching.filter_map(|watch| watch.master.get("config-epoch").parse::<u64>().ok());
    let epoch = epochs.max().map(|epoch| Basis::new("Sentinel's epoch", &epoch));
    master.into_iter().chain(epoch).collect()
}
