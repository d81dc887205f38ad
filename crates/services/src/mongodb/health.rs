//! Is it well: what gates wait for, which members do not serve, and the state that `clusterctl status` shows.

use std::collections::BTreeSet;

use plan::{Budget, Facts, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use super::gates;
use super::settings::Settings;
use super::view::{Node, PRIMARY, Place, SECONDARY, Server, Up, View};

/// What a gate's check says of the facts.
pub(super) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let node = host.and_then(|host| view.node(host));
    let found = match (check, node) {
        (gates::ANSWERS, Some(node)) => answers(&view, node),
        (gates::PRIMARY, Some(node)) => is_primary(node),
        (gates::SERVES | gates::HAS_DATA, Some(node)) => serves(&view, node),
        (gates::HANDED_OVER, Some(node)) => handed_over(&view, node),
        _ => match check.strip_prefix(gates::COMMITTED).map(str::parse) {
            Some(Ok(version)) => committed(&view, version),
            _ => return Verdict::Fail(format!("{} has no check {check:?} for that host", settings.name)),
        },
    };
    match found {
        Ok(()) => Verdict::Pass,
        Err(why) => Verdict::Wait(why),
    }
}

fn up<'n>(node: &'n Node<'_>) -> Result<&'n Up, String> {
    let host = node.host;
    match &node.server {
        Server::Up(up) => Ok(up),
        Server::Down(why) | Server::Unknown(why) => Err(format!("{host} does not answer: {why}")),
        Server::Denied(error) => Err(format!("{host} refuses the admin: {error}")),
    }
}

fn answers(view: &View<'_>, node: &Node<'_>) -> Result<(), String> {
    let (host, up) = (node.host, up(node)?);
    if up.port != view.settings.port {
        return Err(format!("{host} listens on port {}", up.port));
    }
    match up.place(&view.settings.replica_set) {
        Place::Standalone => Err(format!("{host} does not replicate")),
        _ => Ok(()),
    }
}

fn is_primary(node: &Node<'_>) -> Result<(), String> {
    if up(node)?.is_primary() {
        return Ok(());
    }
    Err(format!("{} is not the primary yet", node.host))
}

fn serves(view: &View<'_>, node: &Node<'_>) -> Result<(), String> {
    let (host, up) = (node.host, up(node)?);
    let Some((primary, _)) = view.primary() else {
        return Err("there is no primary".to_owned());
    };
    if up.is_primary() || up.is_arbiter() {
        return Ok(());
    }
    let seen = view.seen(host);
    if !up.is_secondary() {
        let state = seen.map_or("not in the set's eyes yet".to_owned(), |seen| seen.words);
        return Err(format!("{host} is {state}"));
    }
    match seen {
        Some(seen) if seen.is_healthy && seen.state == SECONDARY => {}
        _ => {
            return Err(format!(
                "the primary {} does not see {host} back yet",
                primary.host
            ));
        }
    }
    match view.lag_s(host) {
        Some(lag) if lag <= view.settings.max_lag_s => Ok(()),
        Some(lag) => Err(format!("{host} is {lag} s behind")),
        None => Err(format!("how far {host} is behind is not known yet")),
    }
}

fn committed(view: &View<'_>, version: i64) -> Result<(), String> {
    let Some((_, primary)) = view.primary() else {
        return Err("there is no primary".to_owned());
    };
    match primary.committed() {
        Some((now, true)) if now >= version => Ok(()),
        Some((now, _)) if now >= version => Err(format!("no majority has version {now} yet")),
        Some((now, _)) => Err(format!("the version is {now}")),
        None => Err("the primary does not tell its configuration".to_owned()),
    }
}

fn handed_over(view: &View<'_>, old: &Node<'_>) -> Result<(), String> {
    let up = up(old)?;
    let (new, _) = view.primary().ok_or("there is no primary")?;
    if new.host == old.host {
        return Err(format!("{} is still the primary", old.host));
    }
    if !up.is_secondary() {
        return Err(format!("{} is not a secondary yet", old.host));
    }
    Ok(())
}

/// The members of the set that do not do their part. Who is not in the set yet takes nothing from it.
pub(super) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let config = view.config();
    let is_member = |host: &HostName| {
        let name = settings.member_name(host);
        config
            .as_ref()
            .is_none_or(|config| config.member(&name).is_some())
    };
    let nodes = view.nodes.iter().filter(|node| {
        let serves = node.server.up().is_some_and(Up::serves);
        is_member(node.host) && !serves
    });
    nodes.map(|node| node.host.clone()).collect()
}

/// A majority of the voters must stay. Two members have no majority without one of them, so one is all that is left.
pub(super) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let view = View::new(settings, facts);
    let voters = view
        .config()
        .map_or(settings.hosts.len(), |config| config.voters());
    Budget {
        members: settings.hosts.iter().cloned().collect(),
        max_unavailable: (voters.saturating_sub(1) / 2).max(1),
        unavailable: unavailable(settings, facts),
    }
}

/// Its state.
pub(super) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let members: Vec<MemberStatus> = view.nodes.iter().map(|node| row(&view, node)).collect();
    let has = |health| members.iter().any(|member| member.health == health);
    let health = match view.primary() {
        Some(_) if members.iter().all(|member| member.health == Health::Healthy) => Health::Healthy,
        Some(_) => Health::Degraded,
        None if has(Health::Unknown) => Health::Unknown,
        None => Health::Down,
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "mongodb".to_owned(),
        health,
        summary: summary(&view),
        members,
    }
}

fn summary(view: &View<'_>) -> String {
    let set = &view.settings.replica_set;
    if !view.has_set() {
        return format!("no member of {set} answers");
    }
    let serving = view.members().filter(|(_, up)| up.serves()).count();
    let all = view
        .config()
        .map_or(view.nodes.len(), |config| config.members().len());
    let primary = match view.primary() {
        Some((node, _)) => format!("primary {}", node.host),
        None => "no primary".to_owned(),
    };
    let window = view.primary().and_then(|(_, up)| up.window_s());
    let window = window.map_or(String::new(), |seconds| {
        format!(", oplog of {}", duration(seconds))
    });
    format!("{set}: {primary}, {serving} of {all} members serve{window}")
}

/// A time in the largest unit that leaves a number to read.
pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} h", seconds / 3_600),
        120.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn row(view: &View<'_>, node: &Node<'_>) -> MemberStatus {
    let mut row = MemberStatus {
        host: node.host.clone(),
        process: "mongod".to_owned(),
        role: String::new(),
        health: Health::Healthy,
        lag: String::new(),
        since_us: node
            .unit
            .as_ref()
            .ok()
            .filter(|unit| unit.is_active())
            .map(|unit| unit.started_us),
        detail: String::new(),
    };
    let up = match (&node.server, node.unreachable) {
        (Server::Up(up), None) => up,
        (Server::Down(why), None) => {
            row.health = Health::Down;
            row.detail.clone_from(why);
            return row;
        }
        (Server::Denied(error), None) => {
            row.health = Health::Unknown;
            row.detail = error.to_string();
            return row;
        }
        (Server::Unknown(why), _) => {
            row.health = Health::Unknown;
            row.detail.clone_from(why);
            return row;
        }
        (_, Some(why)) => {
            row.health = Health::Unknown;
            why.clone_into(&mut row.detail);
            return row;
        }
    };
    match up.place(&view.settings.replica_set) {
        Place::Member => member_row(view, node, up, &mut row),
        Place::Standalone => {
            row.health = Health::Degraded;
            "it does not replicate".clone_into(&mut row.detail);
        }
        Place::Blank => {
            row.health = Health::Degraded;
            "it waits for the set's configuration".clone_into(&mut row.detail);
        }
        Place::Foreign(set) => {
            row.health = Health::Degraded;
            row.detail = format!("it is a member of {set}");
        }
        Place::Removed(words) => {
            row.health = Health::Degraded;
            row.detail = format!("it was taken out of the set: {words}");
        }
        Place::Hidden(error) => {
            row.health = if up.serves() {
                Health::Degraded
            } else {
                Health::Unknown
            };
            row.detail = error.to_string();
        }
    }
    row
}

fn member_row(view: &View<'_>, node: &Node<'_>, up: &Up, row: &mut MemberStatus) {
    let seen = view.seen(node.host);
    row.role = seen.as_ref().map_or(String::new(), |seen| seen.words.clone());
    if !up.serves() {
        row.health = Health::Degraded;
        row.detail = seen.map_or(String::new(), |seen| seen.message);
        return;
    }
    if seen.is_some_and(|seen| seen.state == PRIMARY) || up.is_arbiter() {
        return;
    }
    let Some(lag) = view.lag_s(node.host) else {
        return;
    };
    row.lag = format!("{lag} s");
    if lag > view.settings.max_lag_s {
        row.health = Health::Degraded;
        row.detail = format!("more than {} s behind", view.settings.max_lag_s);
    }
}
