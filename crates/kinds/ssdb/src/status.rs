//! The state of mirrors: their health, the members that are unavailable, and the facts that a saved plan rests on.

use std::collections::BTreeSet;

use kit::{Probe, process_status};
use plan::{Basis, Budget, Facts, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use crate::observe::{Info, Member, View};
use crate::rules::canary_value::mark;
use crate::rules::health::{answers, flows};
use crate::settings::Settings;

/// The masters of each member, and under which names it mirrors them, as far as the servers tell. The number of the last
/// change goes into the canaries' values, and moves with each write.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    for member in &view.hosts.listed {
        if let Some(info) = member.server.up() {
            let links = info.links.iter().map(|link| match link.id.as_str() {
                "" => link.at.clone(),
                id => format!("{} as {id}", link.at),
            });
            let mut links: Vec<String> = links.collect();
            links.sort_unstable();
            basis.push(Basis::new(
                format!("whom {} mirrors", member.host),
                &links.join(", "),
            ));
        }
        let mark = mark(&view, member.host);
        basis.push(Basis::volatile(
            format!("the last change of {}", member.host),
            &mark,
        ));
    }
    basis
}

/// The members that do not serve now, or have not caught up since they came back.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    view.hosts
        .listed
        .iter()
        .filter(|member| !view.serves(member) || view.is_cut_off(member))
        .map(|member| member.host.clone())
        .collect()
}

/// One member at a time. Of the members that do not serve only the unreachable count: the others are started or filled
/// again by the same plan, before a member that serves is restarted and with a gate in between, or else no restart is
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
    let members: Vec<MemberStatus> = view
        .hosts
        .listed
        .iter()
        .map(|member| member_status(&view, member))
        .collect();
    let healthy = members
        .iter()
        .filter(|member| member.health == Health::Healthy)
        .count();
    let serving = view
        .hosts
        .listed
        .iter()
        .filter(|member| view.serves(member))
        .count();
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

fn member_status(view: &View<'_>, member: &Member<'_>) -> MemberStatus {
    let watched: BTreeSet<&HostName> = view.settings.hosts.iter().collect();
    let (health, detail) = match (member.unreachable, member.server.up()) {
        (Some(why), _) => (Health::Unknown, why.to_owned()),
        (None, None) => {
            let is_down = matches!(member.server, Probe::Down(_));
            let health = if is_down { Health::Down } else { Health::Unknown };
            (health, member.trouble().unwrap_or_default())
        }
        (None, Some(info)) => match own_links(view, member, info, &watched) {
            Some(trouble) => (Health::Degraded, trouble),
            None => (Health::Healthy, content(member, info)),
        },
    };
    let role = if member.server.is_up() { "mirror" } else { "" };
    MemberStatus {
        role: role.to_owned(),
        health,
        lag: lag(view, member).map_or_else(String::new, |lag| lag.to_string()),
        detail,
        ..process_status(member.host, "ssdb-server", member.unit.as_ref().ok().copied())
    }
}

/// What a member that serves has, and whether it runs with its file.
fn content(member: &Member<'_>, info: &Info) -> String {
    let newer = member.newer_file();
    let newer = newer.map_or_else(String::new, |newer| format!(", its file {newer}"));
    format!("{}, {} changes{newer}", info.version, info.max_seq)
}

/// What is wrong with the member itself: with its answers and its own links.
fn own_links(
    view: &View<'_>,
    member: &Member<'_>,
    info: &Info,
    watched: &BTreeSet<&HostName>,
) -> Option<String> {
    let words = |verdict| match verdict {
        Verdict::Wait(why) | Verdict::Fail(why) => Some(why),
        Verdict::Pass => None,
    };
    if let Err(verdict) = answers(view, member, false) {
        return words(verdict);
    }
    view.settings
        .peers(member.host)
        .filter(|peer| watched.contains(peer))
        .find_map(|peer| {
            let other = view.hosts.listed(peer).and_then(|other| other.server.up());
            flows(view, member.host, info, peer, other, true)
                .err()
                .and_then(words)
        })
}

/// How far a member is behind the master that it is farthest behind.
fn lag(view: &View<'_>, member: &Member<'_>) -> Option<u64> {
    let info = member.server.up()?;
    let lags = view.settings.peers(member.host).filter_map(|peer| {
        let master = view.hosts.listed(peer)?.server.up()?;
        Some(master.max_seq.saturating_sub(view.link(info, peer)?.last_seq))
    });
    lags.max()
}
