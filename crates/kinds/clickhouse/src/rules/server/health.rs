//! The health of servers: what they know of the cluster, and their replicated tables.

use std::collections::BTreeSet;

use types::HostName;

use super::files::macros_of;
use crate::observe::server::replies::Live;
use crate::observe::view::{Member, View};
use crate::rules::coordination::health::{has_quorum, member_serves};
use crate::rules::coordination::quorum::Quorum;
use crate::settings::Settings;

/// The setting that a running server has not taken from its files; `None` where none is missing.
pub(crate) fn lacks(settings: &Settings, host: &HostName, live: &Live) -> Option<String> {
    lacks_cluster(settings, live)
        .or_else(|| lacks_macro(settings, host, live))
        .or_else(|| {
            let is_ours = settings.password.is_none() || live.at.account.is_some();
            (!is_ours).then(|| format!("the user {} cannot log in", settings.user))
        })
}

fn lacks_cluster(settings: &Settings, live: &Live) -> Option<String> {
    let hosts = settings.hosts.iter();
    let wanted: BTreeSet<(String, u16)> = hosts.map(|host| (host.to_string(), settings.tcp_port)).collect();
    if live.cluster == wanted {
        return None;
    }
    let names = |one: &BTreeSet<(String, u16)>, other| {
        let names: Vec<&str> = one.difference(other).map(|(host, _)| host.as_str()).collect();
        names.join(", ")
    };
    let cluster = &settings.cluster;
    Some(if live.cluster.is_empty() {
        format!("it does not know the cluster {cluster}")
    } else if live.cluster.is_superset(&wanted) {
        format!(
            "it still has {} in the cluster {cluster}",
            names(&live.cluster, &wanted)
        )
    } else {
        format!(
            "it does not know {} in the cluster {cluster}",
            names(&wanted, &live.cluster)
        )
    })
}

fn lacks_macro(settings: &Settings, host: &HostName, live: &Live) -> Option<String> {
    let mut macros = macros_of(settings, host).into_iter();
    macros.find_map(|(name, value)| match live.macros.get(&name) {
        Some(found) if *found == value => None,
        Some(found) => Some(format!("its macro {name} is {found} instead of {value}")),
        None => Some(format!("it has no macro {name}")),
    })
}

/// The trouble of a server's session or of its replicated tables; `None` where they are healthy.
pub(crate) fn table_trouble(settings: &Settings, live: &Live) -> Option<String> {
    if let Err(why) = &live.session {
        return Some(format!("it does not reach the quorum: {why}"));
    }
    let tables = match &live.replicas {
        Ok(tables) => tables,
        Err(why) => return Some(why.clone()),
    };
    tables.iter().find_map(|replica| {
        let name = replica.full_name();
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

/// The first replicated table that another member has and this one lacks.
pub(crate) fn missing_table(view: &View<'_>, live: &Live) -> Option<String> {
    let all = view
        .answering()
        .flat_map(|(_, other)| other.replicas.iter().flatten());
    let mut own = all.filter(|replica| live.replicas.is_ok() && live.replica_of(replica).is_none());
    own.next()
        .map(|replica| format!("it lacks the replicated table {}", replica.full_name()))
}

/// A server has all replicated tables of the others, and nothing to fetch.
pub(crate) fn fetched(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let live = member.live()?;
    if let Some(why) = missing_table(view, live) {
        return Err(why);
    }
    let behind = live.replicas.iter().flatten().find(|replica| !replica.is_level());
    behind.map_or(Ok(()), |replica| {
        let (name, queue) = (replica.full_name(), replica.queue);
        Err(format!(
            "{name}: {queue} entries are to be fetched, {} s behind",
            replica.delay
        ))
    })
}

/// Every server that answers reaches the quorum, and its tables are writable: when ZooKeeper restarts, sessions end.
/// One that was not made a part of the cluster yet has none.
pub(crate) fn sessions(view: &View<'_>) -> Result<(), String> {
    let trouble = view.answering().find_map(|(member, live)| {
        let why = table_trouble(view.settings, live).filter(|_| !live.cluster.is_empty())?;
        Some(format!("{}: {why}", member.host))
    });
    trouble.map_or(Ok(()), Err)
}

/// The quorum, where it is ours, is healthy, and the servers reach it.
pub(crate) fn healthy(quorum: &Quorum<'_>) -> Result<(), String> {
    if !quorum.view.settings.members().is_empty() {
        has_quorum(quorum)?;
    }
    sessions(quorum.view)
}

/// A server answers, and has taken from its files what it takes at run time.
pub(crate) fn loaded<'m>(settings: &Settings, member: &'m Member<'_>) -> Result<&'m Live, String> {
    let live = member.live()?;
    match lacks(settings, member.host, live) {
        Some(why) => Err(why),
        None => Ok(live),
    }
}

/// The same, its tables are writable and have caught up, and its Keeper is in the quorum.
pub(crate) fn serving(quorum: &Quorum<'_>, member: &Member<'_>) -> Result<(), String> {
    let settings = quorum.view.settings;
    let unit = member.unit.as_ref().map_err(ToString::to_string)?;
    if !unit.is_active() {
        return Err(format!("its unit is {}", unit.active));
    }
    let live = loaded(settings, member)?;
    if let Some(why) = table_trouble(settings, live) {
        return Err(why);
    }
    if settings.keeper().is_some() {
        member_serves(quorum, member.host)?;
    }
    Ok(())
}
