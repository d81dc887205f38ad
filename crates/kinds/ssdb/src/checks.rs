//! Whether members are as they should be: gates, budget and status.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Budget, Facts, Gate, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use crate::observe::queries;
use crate::observe::replies::Info;
use crate::observe::view::{Node, View};
use crate::settings::Settings;

/// The member answers.
pub(crate) const ANSWERS: &str = "answers";
/// The member answers, and all links from and to it say SYNC and have caught up.
pub(crate) const LINKED: &str = "linked";
/// The member answers, and its own links say SYNC and have caught up; what its peers make of it is another matter.
pub(crate) const FILLED: &str = "filled";
/// The canary of this value, written on the member, is on all that are watched; the value follows.
pub(crate) const CANARY: &str = "canary ";
/// The member's canary is nowhere any more.
pub(crate) const NO_CANARY: &str = "no-canary";
/// The farewell of this value, written on a host that leaves, is on all members that are watched; the value follows.
pub(crate) const FAREWELL: &str = "farewell ";
/// No member has a farewell any more.
pub(crate) const NO_FAREWELL: &str = "no-farewell";

/// A gate about a member. It looks at the hosts that are named, and at no others: a link to one that cannot be asked
/// says nothing.
pub(crate) fn gate(
    settings: &Settings,
    check: &str,
    host: &HostName,
    watched: &[&HostName],
    limit_s: u64,
) -> Gate {
    let others: Vec<&str> = watched
        .iter()
        .filter(|other| **other != host)
        .map(|other| other.as_str())
        .collect();
    let title = match (check, others.is_empty()) {
        (NO_FAREWELL, _) => "the farewell is gone everywhere".to_owned(),
        (check, _) if check.starts_with(FAREWELL) => {
            let have = if others.len() == 1 { "has" } else { "have" };
            format!("{} {have} all that clients wrote on {host}", others.join(", "))
        }
        (NO_CANARY, _) => format!("the canary of {host} is gone everywhere"),
        (_, true) => format!("{host} answers"),
        (FILLED, _) => {
            let hold = if others.len() == 1 { "holds" } else { "hold" };
            format!("{host} answers, and has copied what {} {hold}", others.join(", "))
        }
        (LINKED, _) => format!(
            "{host} answers, and its links with {} are in sync",
            others.join(", ")
        ),
        _ => format!("the canary of {host} is read on {}", others.join(", ")),
    };
    let mut watch: BTreeMap<_, _> = watched
        .iter()
        .map(|&host| (host.clone(), queries::live(settings, host)))
        .collect();
    watch
        .entry(host.clone())
        .or_insert_with(|| queries::live(settings, host));
    Gate {
        service: Some(settings.name.clone()),
        check: check.to_owned(),
        host: Some(host.clone()),
        title,
        watch,
        limit_ms: limit_s * 1000,
    }
}

pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let watched: BTreeSet<&HostName> = facts.hosts().map(|(host, _)| host).collect();
    let Some(node) = host.and_then(|host| view.any(host)) else {
        return Verdict::Fail(format!("the check {check} is about a host of {}", settings.name));
    };
    if let Some(value) = check.strip_prefix(FAREWELL) {
        return farewell(&view, node, value, &watched);
    }
    if let Some(value) = check.strip_prefix(CANARY) {
        return canary(&view, node, Some(value), &watched);
    }
    match check {
        ANSWERS => answers(&view, node, true).map_or_else(|verdict| verdict, |_| Verdict::Pass),
        LINKED => linked(&view, node, &watched, true),
        FILLED => linked(&view, node, &watched, false),
        NO_CANARY => canary(&view, node, None, &watched),
        NO_FAREWELL => no_farewell(&view, &watched),
        _ => Verdict::Fail(format!("{} has no check {check:?}", settings.name)),
    }
}

fn linked(view: &View<'_>, node: &Node<'_>, watched: &BTreeSet<&HostName>, both_ways: bool) -> Verdict {
    let info = match answers(view, node, true) {
        Ok(info) => info,
        Err(verdict) => return verdict,
    };
    let leaving = view.others.iter().map(|other| other.host);
    for peer in view
        .settings
        .peers(node.host)
        .chain(leaving)
        .filter(|peer| watched.contains(peer))
    {
        let Some(other) = view.any(peer) else { continue };
        let other = match answers(view, other, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        if let Err(verdict) = flows(view, node.host, info, peer, other, true) {
            return verdict;
        }
        // A peer that does not know this host yet is restarted for it later.
        if both_ways && let Err(verdict) = flows(view, peer, other, node.host, info, false) {
            return verdict;
        }
    }
    Verdict::Pass
}

/// What a running server says; otherwise what its silence means: the one that was just started will not come back by
/// itself, one of the others may be about to be started.
fn answers<'n>(view: &View<'_>, node: &'n Node<'_>, was_started: bool) -> Result<&'n Info, Verdict> {
    let host = node.host;
    if was_started
        && let Ok(unit) = &node.unit
        && matches!(unit.active.as_str(), "failed" | "inactive")
    {
        let unit = &view.settings.unit;
        return Err(Verdict::Fail(format!(
            "{unit} on {host} has ended: `journalctl -u {unit}` and its log tell why"
        )));
    }
    match (node.server.up(), node.server.trouble()) {
        (Some(info), _) if info.address != view.settings.place(host) => {
            Err(Verdict::Wait(format!("{host} answers on {} only", info.address)))
        }
        (Some(info), _) if !info.asks_password => Err(Verdict::Wait(format!("{host} asks for no password"))),
        (Some(info), _) => Ok(info),
        (None, trouble) => Err(Verdict::Wait(format!("{host}: {}", trouble.unwrap_or_default()))),
    }
}

/// Whether the link from a mirror to a master is in sync and has caught up.
fn flows(
    view: &View<'_>,
    mirror: &HostName,
    info: &Info,
    master: &HostName,
    of_master: &Info,
    must_exist: bool,
) -> Result<(), Verdict> {
    let Some(link) = view.link(info, master) else {
        return if must_exist {
            Err(Verdict::Wait(format!("{mirror} does not mirror {master}")))
        } else {
            Ok(())
        };
    };
    let lag = of_master.max_seq.saturating_sub(link.last_seq);
    match link.status.as_str() {
        "OUT_OF_SYNC" => Err(Verdict::Fail(format!(
            "{mirror} is out of sync with {master}: the change after {} is not in the binlog there, which has {} to {}; the next \
             plan says what helps",
            link.last_seq, of_master.min_seq, of_master.max_seq
        ))),
        "SYNC" if lag > view.settings.max_lag || (link.last_seq == 0 && lag > 0) => Err(Verdict::Wait(
            format!("{mirror} is {lag} changes behind {master}"),
        )),
        "SYNC" => Ok(()),
        other => Err(Verdict::Wait(format!(
            "the link of {mirror} to {master} is {other}"
        ))),
    }
}

/// Whether all that are watched have the canary of a value, or none has any.
fn canary(view: &View<'_>, node: &Node<'_>, value: Option<&str>, watched: &BTreeSet<&HostName>) -> Verdict {
    for other in view.nodes.iter().filter(|other| watched.contains(other.host)) {
        let info = match answers(view, other, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        let seen = info.canaries.get(node.host).map(String::as_str);
        if seen != value {
            let link = view.link(info, node.host).map_or("", |link| link.status.as_str());
            let what = if value.is_some() {
                "does not see"
            } else {
                "still has"
            };
            return Verdict::Wait(format!(
                "{} {what} the canary of {}; its link says {link}, and if that lasts, it is stalled: the next plan \
                 restarts {0}",
                other.host, node.host
            ));
        }
    }
    Verdict::Pass
}

/// Whether all members have what clients wrote on a host that leaves: what was written there last, and in its order all
/// that was written before. All of them serve, for they will be without it.
fn farewell(view: &View<'_>, node: &Node<'_>, value: &str, watched: &BTreeSet<&HostName>) -> Verdict {
    let leaving = match answers(view, node, true) {
        Ok(info) => info,
        Err(verdict) => return verdict,
    };
    for member in view.nodes.iter().filter(|member| watched.contains(member.host)) {
        let info = match answers(view, member, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        if let Err(verdict) = flows(view, member.host, info, node.host, leaving, true) {
            return verdict;
        }
        if !view.serves(member) || view.is_cut_off(member) {
            return Verdict::Wait(format!("{} does not serve", member.host));
        }
        if info.farewell.as_deref() != Some(value) {
            return Verdict::Wait(format!(
                "{} has not yet got what was written last on {}",
                member.host, node.host
            ));
        }
    }
    Verdict::Pass
}

fn no_farewell(view: &View<'_>, watched: &BTreeSet<&HostName>) -> Verdict {
    let mut members = view.nodes.iter().filter(|member| watched.contains(member.host));
    let has_it = |member: &&Node<'_>| member.server.up().is_none_or(|info| info.farewell.is_some());
    members.find(has_it).map_or(Verdict::Pass, |member| {
        Verdict::Wait(format!("{} still has the farewell", member.host))
    })
}

/// The members that do not serve now, or have not caught up since they came back.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    view.nodes
        .iter()
        .filter(|node| !view.serves(node) || view.is_cut_off(node))
        .map(|node| node.host.clone())
        .collect()
}

/// One member at a time. Of those that do not serve only the unreachable count: the others are started or filled
/// anew by the same plan, before anybody that serves has its turn and with a gate in between, or else nobody's turn is
/// planned.
pub(crate) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let unreachable = settings
        .hosts
        .iter()
        .filter(|host| facts.unreachable(host).is_some());
    Budget {
        members: settings.hosts.iter().cloned().collect(),
        max_unavailable: 1,
        unavailable: unreachable.cloned().collect(),
    }
}

pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let members: Vec<MemberStatus> = view.nodes.iter().map(|node| member(&view, node)).collect();
    let healthy = members
        .iter()
        .filter(|member| member.health == Health::Healthy)
        .count();
    let serving = view.nodes.iter().filter(|node| view.serves(node)).count();
    let health = match members.iter().map(|member| member.health).max() {
        Some(Health::Healthy) => Health::Healthy,
        _ if serving > 0 => Health::Degraded,
        worst => worst.unwrap_or(Health::Unknown),
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "ssdb".to_owned(),
        health,
        summary: format!("{healthy} of {} in sync with all others", settings.hosts.len()),
        members,
    }
}

fn member(view: &View<'_>, node: &Node<'_>) -> MemberStatus {
    let watched: BTreeSet<&HostName> = view.settings.hosts.iter().collect();
    let (health, detail) = match (node.unreachable, node.server.up()) {
        (Some(why), _) => (Health::Unknown, why.to_owned()),
        (None, None) => (Health::Down, node.server.trouble().unwrap_or_default()),
        (None, Some(info)) => match own_links(view, node, info, &watched) {
            Some(trouble) => (Health::Degraded, trouble),
            None => (
                Health::Healthy,
                format!("{}, {} changes", info.version, info.max_seq),
            ),
        },
    };
    let started = node
        .unit
        .as_ref()
        .ok()
        .filter(|unit| unit.is_active())
        .map(|unit| unit.started_us);
    MemberStatus {
        host: node.host.clone(),
        process: "ssdb-server".to_owned(),
        role: if node.server.up().is_some() { "mirror" } else { "" }.to_owned(),
        health,
        lag: lag(view, node).map_or_else(String::new, |lag| lag.to_string()),
        since_us: started.filter(|&started| started > 0),
        detail,
    }
}

/// What is wrong with the member itself: with its answers and its own links.
fn own_links(view: &View<'_>, node: &Node<'_>, info: &Info, watched: &BTreeSet<&HostName>) -> Option<String> {
    let words = |verdict| match verdict {
        Verdict::Wait(why) | Verdict::Fail(why) => Some(why),
        Verdict::Pass => None,
    };
    if let Err(verdict) = answers(view, node, false) {
        return words(verdict);
    }
    view.settings
        .peers(node.host)
        .filter(|peer| watched.contains(peer))
        .find_map(|peer| {
            let other = view.node(peer).and_then(|other| other.server.up());
            let unknown = Info::default();
            flows(view, node.host, info, peer, other.unwrap_or(&unknown), true)
                .err()
                .and_then(words)
        })
}

/// How far a member is behind the master that it is farthest behind.
fn lag(view: &View<'_>, node: &Node<'_>) -> Option<u64> {
    let info = node.server.up()?;
    let lags = view.settings.peers(node.host).filter_map(|peer| {
        let master = view.node(peer)?.server.up()?;
        Some(master.max_seq.saturating_sub(view.link(info, peer)?.last_seq))
    });
    lags.max()
}
