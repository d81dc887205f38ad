//! Is it well: what gates wait for, which members do not serve, and the state that `clusterctl status` shows.

use std::collections::BTreeSet;

use plan::{Budget, Facts, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use crate::checks::gates;
use crate::observe::view::{Node, PRIMARY, Place, Server, Up, View};
use crate::rules::stored_data::Holding;
use crate::settings::Settings;
use crate::steps::check::is_ours;
use formats::replset::{Member, host_of};

/// What a gate's check says of the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let formers = view.others.iter();
    let node = host.and_then(|host| view.nodes.iter().chain(formers).find(|node| node.host == host));
    let found = match (check, node) {
        (gates::ANSWERS, Some(node)) => answers(&view, node),
        (gates::PRIMARY, Some(node)) => is_primary(node),
        (gates::HAS_DATA, Some(node)) => match copies_nothing(&view, node) {
            Some(why) => return Verdict::Fail(why),
            None => serves(&view, node),
        },
        (gates::SERVES, Some(node)) => serves(&view, node),
        (gates::NOTHING_TO_LOSE, Some(node)) => return nothing_to_lose(&view, node),
        (gates::HANDED_OVER, Some(node)) => handed_over(&view, node),
        _ => {
            let version = check.strip_prefix(gates::COMMITTED).map(str::parse);
            match (version, check.strip_prefix(gates::SPARED)) {
                (Some(Ok(version)), _) => committed(&view, version),
                (_, Some(name)) => spared(&view, name),
                _ => return Verdict::Fail(format!("{} has no check {check:?} for that host", settings.name)),
            }
        }
    };
    match found {
        Ok(()) => Verdict::Pass,
        Err(why) => Verdict::Wait(why),
    }
}

/// Why a newcomer, which may copy for a day, copies nothing until the next plan has started somebody.
fn copies_nothing(view: &View<'_>, node: &Node<'_>) -> Option<String> {
    if node.has_ended() {
        return Some(format!("{}: its server has ended", node.host));
    }
    let mut others = view.nodes.iter().chain(view.formers());
    let ended = others.find(|other| !view.has_leader() && other.has_ended())?;
    Some(format!(
        "there is no primary, and the server on {} has ended",
        ended.host
    ))
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

pub(crate) fn serves(view: &View<'_>, node: &Node<'_>) -> Result<(), String> {
    let (host, up) = (node.host, up(node)?);
    if !view.has_leader() {
        return Err("there is no primary".to_owned());
    }
    let seen = view.seen(host);
    if !up.serves() {
        let state = seen.map_or("not in the set's eyes yet".to_owned(), |seen| seen.words);
        return Err(format!("{host} is {state}"));
    }
    // It may take itself for well, and be cut off from the others.
    if !seen.is_some_and(|seen| seen.serves()) {
        return Err(format!("the primary does not see {host} back yet"));
    }
    if up.is_arbiter() {
        return Ok(());
    }
    match view.lag_s(host) {
        Some(lag) if lag > view.settings.max_lag_s => Err(format!("{host} is {lag} s behind")),
        Some(_) if !view.follows(node) => Err(format!("{host} has got nothing new since it was started")),
        Some(_) => Ok(()),
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

/// Whether a host may join: what it holds is replaced by the set's data.
fn nothing_to_lose(view: &View<'_>, node: &Node<'_>) -> Verdict {
    let host = node.host;
    let Ok(up) = up(node) else {
        return match copies_nothing(view, node) {
            Some(why) => Verdict::Fail(why),
            None => Verdict::Wait(format!("{host} does not answer yet")),
        };
    };
    match up.place(&view.settings.replica_set) {
        Place::Member => return Verdict::Pass,
        Place::Removed(_) if is_ours(view, up) => return Verdict::Pass,
        _ => {}
    }
    match node.holding(view.settings) {
        Holding::Nothing => Verdict::Pass,
        Holding::Something(what) => Verdict::Fail(format!("{host} holds {what}")),
        Holding::Unknown(why) => Verdict::Fail(format!("{host} may hold data: {why}")),
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

/// The set does without a member: everybody else that is to stay is in it and well, and a majority of those that vote.
fn spared(view: &View<'_>, name: &str) -> Result<(), String> {
    let config = view.config().ok_or("the configuration is not known")?;
    if config.member(name).is_none() {
        return Ok(());
    }
    let has_gone = |other: &Member| other.name() != name && other.votes();
    let voters: Vec<Member> = config.members().into_iter().filter(has_gone).collect();
    for node in &view.nodes {
        if config.member(&view.settings.member_name(node.host)).is_none() {
            return Err(format!("{} is not in the set", node.host));
        }
        serves(view, node)?;
    }
    let is_well = |member: &&Member| view.seen_as(member.name()).is_some_and(|seen| seen.serves());
    if voters.iter().filter(is_well).count() * 2 <= voters.len() {
        return Err("no majority of the others is well".to_owned());
    }
    Ok(())
}

/// The members of the set that vote and do not do their part, whether the inventory lists them or not: they are down, far
/// behind, or cut off from the primary; without a primary, all. Who has no vote takes nothing from the set.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let Some(config) = view.config() else {
        // Nobody says that there is a set, so nobody says that it can do without one.
        let nodes = view
            .nodes
            .iter()
            .filter(|node| !node.server.up().is_some_and(Up::serves));
        return nodes.map(|node| node.host.clone()).collect();
    };
    let voters = config.members().into_iter().filter(Member::votes);
    let away = voters.filter_map(|member| {
        let Some(host) = settings.host_of(member.name()) else {
            let serves = view.seen_as(member.name()).is_some_and(|seen| seen.serves());
            return host_of(member.name()).filter(|_| !serves);
        };
        let node = view.node(host)?;
        serves(&view, node).is_err().then(|| host.clone())
    });
    away.collect()
}

/// One at a time: how many may be away depends on who votes, and that changes while members come and go.
pub(crate) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let unavailable = unavailable(settings, facts);
    Budget {
        members: settings.hosts.iter().chain(&unavailable).cloned().collect(),
        max_unavailable: 1,
        unavailable,
    }
}

/// Its state.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
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
pub(crate) fn duration(seconds: i64) -> String {
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
