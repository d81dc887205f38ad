//! Is it well: what gates wait for, which members do not serve, and the state that `clusterctl status` shows.

use std::collections::BTreeSet;

use plan::{Facts, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use crate::checks as gates;
use crate::observe::server::{self as view, Live, Talk};
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::coordination::quorum_guard as margin;
use crate::rules::server::former;
use crate::settings::{Coordination, Settings};
use crate::steps::reload;

/// What a gate's check says of the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let found = match (check, host) {
        (gates::QUORUM, _) => has_quorum(settings, facts),
        (gates::REACHED, _) => has_quorum(settings, facts).and_then(|()| sessions(settings, facts)),
        (gates::MEMBER_UP, Some(host)) => member_up(settings, host, facts),
        (gates::LOADED, Some(host)) => loaded(settings, host, facts).map(|_| ()),
        (gates::SERVING, Some(host)) => serving(settings, host, facts),
        (gates::COVERED, Some(host)) => {
            does_without(settings, host, facts).and_then(|()| former::is_covered(settings, host, facts))
        }
        (gates::VOTES, Some(host)) => has_quorum(settings, facts).and_then(|()| votes(settings, host, facts)),
        (gates::SPARE | gates::SPARE_IN_VAIN, Some(host)) => {
            margin::spares(settings, host, check == gates::SPARE_IN_VAIN, facts)
        }
        (gates::LEFT, _) => well(settings, facts),
        _ => return Verdict::Fail(format!("{} has no check {check:?}", settings.name)),
    };
    match found {
        Ok(()) => Verdict::Pass,
        Err(why) => Verdict::Wait(why),
    }
}

/// One leads, and all that can be seen follow it. A member that is out of reach is none of this gate's.
fn has_quorum(settings: &Settings, facts: &Facts) -> Result<(), String> {
    let quorum = Quorum::find(settings, facts);
    if quorum.members.len() == 1 && quorum.is_there() {
        return Ok(());
    }
    let seen: Vec<_> = quorum
        .members
        .iter()
        .filter(|member| !matches!(member.peer, Peer::Unknown(_)))
        .collect();
    if let Some(member) = seen.iter().find(|member| !member.peer.is_serving()) {
        return Err(format!("{}: {}", member.name, member.peer.describe()));
    }
    let leaders: Vec<_> = seen
        .iter()
        .filter_map(|member| match member.peer {
            Peer::Leader(followers) => Some((member, followers)),
            _ => None,
        })
        .collect();
    let [(leader, followers)] = leaders.as_slice() else {
        return Err(format!("{} members lead", leaders.len()));
    };
    // A leader that was not restarted yet does not count a member that joins.
    let known = leader
        .conf
        .as_deref()
        .map(|conf| formats::zoo::servers(conf).len());
    let wanted = known
        .map_or(seen.len(), |known| known.min(seen.len()))
        .saturating_sub(1);
    if let Some(followers) = followers.filter(|&followers| followers < wanted) {
        return Err(format!(
            "{followers} of {wanted} followers are in step with {}",
            leader.name
        ));
    }
    Ok(())
}

/// Every server that answers reaches the quorum, and its tables are writable: when ZooKeeper restarts, sessions end.
/// One that was not made a part of the cluster yet has none.
pub(crate) fn sessions(settings: &Settings, facts: &Facts) -> Result<(), String> {
    for host in &settings.hosts {
        let Talk::Up(live) = view::talk(settings, host, facts) else {
            continue;
        };
        if !live.cluster.is_empty()
            && let Some(why) = table_trouble(settings, &live)
        {
            return Err(format!("{host}: {why}"));
        }
    }
    Ok(())
}

/// The quorum, if it is ours, and the servers that reach it.
fn well(settings: &Settings, facts: &Facts) -> Result<(), String> {
    if !settings.members().is_empty() {
        has_quorum(settings, facts)?;
    }
    sessions(settings, facts)
}

fn votes(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let peer = quorum::peer_on(settings, host, facts);
    if peer.is_serving() {
        Ok(())
    } else {
        Err(format!("{host}: {}", peer.describe()))
    }
}

/// A former member of the quorum does not count any more: the leader's configuration is without it. A Keeper does not
/// tell its configuration; its leader counts no more followers than there should be.
fn does_without(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    well(settings, facts)?;
    let quorum = Quorum::find(settings, facts);
    let still = Err(format!("{host} is still a member of the quorum"));
    let Some(leader) = quorum.leader() else {
        return Ok(());
    };
    if let Some(conf) = &leader.conf {
        let is_named = formats::zoo::servers(conf)
            .iter()
            .any(|(_, name)| name == host.as_str());
        return if is_named { still } else { Ok(()) };
    }
    match leader.peer {
        Peer::Leader(Some(followers)) if settings.keeper().is_some() && followers >= quorum.members.len() => {
            still
        }
        _ => Ok(()),
    }
}

/// The host's own member leads or follows. Another one that joins follows only when the leader has learned of it.
fn member_serves(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let quorum = Quorum::find(settings, facts);
    match quorum.on(host).map(|member| &member.peer) {
        Some(Peer::Standalone(_)) if quorum.members.len() == 1 => Ok(()),
        Some(peer) if !peer.is_serving() => Err(format!("its Keeper: {}", peer.describe())),
        Some(_) | None => Ok(()),
    }
}

fn member_up(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let quorum = Quorum::find(settings, facts);
    match quorum.on(host).map(|member| &member.peer) {
        Some(Peer::Down(why) | Peer::Unknown(why)) => Err(why.clone()),
        Some(_) => Ok(()),
        None => Err(format!("{host} is no member of the quorum")),
    }
}

fn loaded(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Box<Live>, String> {
    match view::talk(settings, host, facts) {
        Talk::Up(live) => match reload::lacks(settings, host, &live) {
            Some(why) => Err(why),
            None => Ok(live),
        },
        Talk::Failing(why) | Talk::Down(why) | Talk::Unknown(why) => Err(why),
    }
}

fn serving(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let unit = view::unit(settings, host, facts).map_err(|unknown| unknown.to_string())?;
    if !unit.is_active() {
        return Err(format!("its unit is {}", unit.active));
    }
    let live = loaded(settings, host, facts)?;
    if let Some(why) = table_trouble(settings, &live) {
        return Err(why);
    }
    if settings.keeper().is_some() && settings.members().contains(host) {
        member_serves(settings, host, facts)?;
    }
    Ok(())
}

/// What is wrong with a server's session and its replicated tables; `None` where nothing is.
fn table_trouble(settings: &Settings, live: &Live) -> Option<String> {
    if let Err(why) = &live.session {
        return Some(format!("it does not reach the quorum: {why}"));
    }
    let tables = match &live.replicas {
        Ok(tables) => tables,
        Err(why) => return Some(why.clone()),
    };
    tables.iter().find_map(|replica| {
        let name = format!("{}.{}", replica.table.0, replica.table.1);
        if replica.is_session_expired {
            Some(format!("{name} has lost its session"))
        } else if replica.is_readonly {
            Some(format!("{name} is read-only"))
        } else if replica.delay > settings.max_delay {
            Some(format!("{name} is {} s behind", replica.delay))
        } else {
            None
        }
    })
}

/// The hosts whose server does not answer, or whose member of the quorum does not serve; of a cluster that serves, only
/// those that it knows: one that is to join is not missed yet.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let quorum = Quorum::find(settings, facts);
    let is_there = |host: &HostName| {
        let member = quorum.on(host);
        let serves = member
            .is_none_or(|member| member.peer.is_serving() || matches!(member.peer, Peer::Standalone(_)));
        serves && view::talk(settings, host, facts).up().is_some()
    };
    let mut known: BTreeSet<String> = quorum::current(settings, &quorum, facts)
        .unwrap_or_default()
        .into_iter()
        .collect();
    for host in &settings.hosts {
        if let Some(live) = view::talk(settings, host, facts).up() {
            known.extend(live.cluster.iter().map(|(name, _)| name.clone()));
        }
    }
    let is_missed = |host: &HostName| known.is_empty() || known.contains(host.as_str());
    settings
        .hosts
        .iter()
        .filter(|host| !is_there(host) && is_missed(host))
        .cloned()
        .collect()
}

/// Whether a host is the only one that is missed: then its start gives the budget back that it holds.
pub(crate) fn is_only_missed(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    unavailable(settings, facts).into_iter().eq([host.clone()])
}

/// Its state.
pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let quorum = Quorum::find(settings, facts);
    let mut members = Vec::new();
    let (mut serving, mut tables) = (0, BTreeSet::new());
    for host in &settings.hosts {
        let talk = view::talk(settings, host, facts);
        if let Some(live) = talk.up() {
            serving += 1;
            tables.extend(
                live.replicas
                    .iter()
                    .flatten()
                    .map(|replica| replica.table.clone()),
            );
        }
        members.push(server_status(settings, host, &talk, facts));
        if let Some(member) = quorum.on(host) {
            members.push(member_status(settings, host, &member.peer, facts));
        }
    }
    let all_well = members.iter().all(|member| member.health == Health::Healthy);
    let health = if all_well && quorum.trouble().is_none() {
        Health::Healthy
    } else if serving == 0 {
        let worst = members.iter().map(|member| member.health).max();
        worst.unwrap_or(Health::Unknown)
    } else {
        Health::Degraded
    };
    let quorum_words = match (quorum.leader(), quorum.trouble()) {
        _ if quorum.members.is_empty() => "no quorum".to_owned(),
        (Some(leader), None) => format!("quorum of {} led by {}", quorum.members.len(), leader.name),
        (_, Some(trouble)) => format!("quorum: {trouble}"),
        (None, None) => "quorum of one".to_owned(),
    };
    let tables = match tables.len() {
        1 => "1 replicated table".to_owned(),
        many => format!("{many} replicated tables"),
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "clickhouse".to_owned(),
        health,
        summary: format!(
            "{serving} of {} answer, {tables}, {quorum_words}",
            settings.hosts.len()
        ),
        members,
    }
}

fn server_status(settings: &Settings, host: &HostName, talk: &Talk, facts: &Facts) -> MemberStatus {
    let mut row = MemberStatus {
        host: host.clone(),
        process: "clickhouse".to_owned(),
        role: String::new(),
        health: Health::Down,
        lag: String::new(),
        since_us: None,
        detail: talk.why_not().unwrap_or_default().to_owned(),
    };
    if let Ok(unit) = view::unit(settings, host, facts)
        && unit.is_active()
    {
        row.since_us = Some(unit.started_us).filter(|&started| started > 0);
    }
    match talk {
        Talk::Up(live) => {
            "replica".clone_into(&mut row.role);
            let delays = live.replicas.iter().flatten().map(|replica| replica.delay);
            if let Some(delay) = delays.max() {
                row.lag = format!("{delay} s");
            }
            let trouble = reload::lacks(settings, host, live).or_else(|| table_trouble(settings, live));
            row.health = match trouble {
                Some(_) => Health::Degraded,
                None => Health::Healthy,
            };
            row.detail = trouble.unwrap_or_else(|| live.version.clone());
        }
        Talk::Failing(_) => row.health = Health::Degraded,
        Talk::Unknown(_) => row.health = Health::Unknown,
        Talk::Down(_) => {}
    }
    row
}

fn member_status(settings: &Settings, host: &HostName, peer: &Peer, facts: &Facts) -> MemberStatus {
    let (role, health) = match peer {
        Peer::Leader(_) => ("leader", Health::Healthy),
        Peer::Follower => ("follower", Health::Healthy),
        Peer::Standalone(_) if settings.members().len() == 1 => ("standalone", Health::Healthy),
        Peer::Standalone(_) | Peer::Waiting => ("", Health::Degraded),
        Peer::Down(_) => ("", Health::Down),
        Peer::Unknown(_) => ("", Health::Unknown),
    };
    let unit = quorum::unit(settings, host, facts).filter(|unit| unit.is_active() && unit.started_us > 0);
    debug_assert!(!matches!(settings.coordination, Coordination::Named(_)));
    MemberStatus {
        host: host.clone(),
        process: settings.coordinator().to_owned(),
        role: role.to_owned(),
        health,
        lag: String::new(),
        since_us: unit.map(|unit| unit.started_us),
        detail: match peer {
            Peer::Follower => String::new(),
            peer => peer.describe(),
        },
    }
}
