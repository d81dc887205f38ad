//! Finding out which member is the master.
//!
//! Roles are run-time state: after a failover Sentinel has the engines rewrite their files, and a tool that writes roles
//! back from an inventory makes two masters. So these are asked, in this order, until one knows (`role_sources`): the
//! sentinels that run; the replication that runs; the files of sentinels that do not run; the files of engines that do not
//! run or were not restarted yet. Only where no member has a role, the first host of the inventory becomes the master.
//!
//! A process that runs and could not be asked knows better than any file, so beside one of those no file is believed, and
//! nobody becomes the first master.

use types::HostName;

use super::role_sources::{engine_files, join, refused, replication, sentinel_files, sentinels};
use super::roles::Roles;
use crate::observe::{Member, View};
use kit::Probe;

/// Finds the roles.
pub(crate) fn find_roles(view: &View<'_>) -> Roles {
    sentinels(view)
        .or_else(|| replication(view))
        .or_else(|| silent(view))
        .or_else(|| sentinel_files(view))
        .or_else(|| engine_files(view))
        .or_else(|| other_store(view))
        .unwrap_or_else(|| first(view))
}

/// A member's process may know the roles, and could not be asked.
fn silent(view: &View<'_>) -> Option<Roles> {
    let mut members = view
        .members
        .listed
        .iter()
        .filter(|member| member.unreachable.is_none());
    members.find_map(|member| {
        let (what, why) = match (&member.engine, &member.sentinel) {
            (Probe::Unknown(why), _) => ("engine", why.as_str()),
            (_, Probe::Unknown(why) | Probe::Denied(why)) => ("sentinel", why.as_str()),
            (_, Probe::Up(_) | Probe::Down(_)) => ("engine", member.denial()?),
        };
        let host = member.host;
        let why = format!("the {what} on {host} may know the master, and could not be asked: {why}");
        Some(Roles::Unknown(why))
    })
}

/// No member has a role, and other hosts' sentinels watch a master of the same name: all members were replaced at once, it
/// seems, and a new master would leave the data behind.
fn other_store(view: &View<'_>) -> Option<Roles> {
    let watches_it = |other: &&Member<'_>| {
        let watch = view.watch(other);
        watch.is_some_and(|watch| view.at(watch.master.ip()).is_some())
    };
    let others = view.members.former.iter().filter(watches_it);
    let hosts: Vec<&HostName> = others.map(|other| other.host).collect();
    let name = &view.settings.sentinel.master_name;
    (!hosts.is_empty()).then(|| {
        refused(
            format!(
                "no member has a role yet, and the sentinels on {}, which are no hosts of this service, watch a master {name}",
                join(&hosts)
            ),
            "if they were its hosts before, list a majority of them until the new ones have joined; if they are another \
             store, give this one another sentinel.master_name",
        )
    })
}

/// The first host of the inventory becomes the master.
fn first(view: &View<'_>) -> Roles {
    let Some(first) = view.members.listed.first() else {
        return Roles::Unknown("the service has no host".to_owned());
    };
    let host = first.host;
    if let Some(why) = first.unreachable {
        return Roles::Unknown(format!(
            "no member has a role yet, and {host}, which would be the master, cannot be reached: {why}"
        ));
    }
    if first.denial().is_some() {
        return Roles::Unknown(format!(
            "no member has a role yet, and {host}, which would be the master, refuses the password"
        ));
    }
    Roles::First(host.clone())
}
