//! Former members, and masters of unknown platforms.

use super::main_json::uses_same_databases;
use crate::observe::{Member, Run, View};

/// Members and former members.
pub(crate) fn all<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = &'v Member<'a>> {
    view.members.listed.iter().chain(former(view))
}

/// Hosts that were members: a process runs there, or will after a boot, and something shows that it was of this platform.
pub(crate) fn former<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = &'v Member<'a>> {
    let others = view.members.former.iter().filter(|other| other.may_run());
    others.filter(|other| was_ours(view, other))
}

/// Hosts on which a process runs as master, while nothing shows of which platform.
pub(crate) fn foreign_masters<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = &'v Member<'a>> {
    let is_master = |other: &&Member<'_>| {
        let mut active = other.runs.iter().filter(|run: &&Run<'_>| run.is_active());
        active.any(|run| {
            let start = run.start.as_ref();
            start.is_some_and(|start| start.is_master && start.host_id == other.host.as_str())
        })
    };
    let masters = view.members.former.iter().filter(is_master);
    masters.filter(|other| !was_ours(view, other))
}

/// Its main.json names a member, or a member's names it; or it uses our databases.
fn was_ours(view: &View<'_>, other: &Member<'_>) -> bool {
    let uses_ours = |json| uses_same_databases(view.settings, json);
    view.settings.hosts.iter().any(|host| other.names(host))
        || view.members.listed.iter().any(|member| member.names(other.host))
        || other.json.as_ref().is_some_and(uses_ours)
}
