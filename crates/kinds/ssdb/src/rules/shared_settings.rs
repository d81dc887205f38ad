//! The password and the port, which all members share: a change takes effect on all of them at once.

use std::collections::BTreeSet;

use plan::Refusal;
use types::HostName;

use super::consents::TOGETHER;
use crate::observe::{Member, View};
use kit::{Cx, Probe};

/// Members of running mirrors whose password or port changes: each restarted one would be cut off from all others.
pub(crate) fn changes_for_all<'v>(view: &View<'v>) -> BTreeSet<&'v HostName> {
    let settings = view.settings;
    let is_changing = |member: &&Member<'_>| {
        let port = member.conf().and_then(|conf| conf.get(&["server", "port"]));
        let file_changes =
            member.has_other_password(settings) || port != Some(settings.port.to_string().as_str());
        let is_pending = member.has_newer_file()
            && match &member.server {
                Probe::Up(info) => !info.asks_password,
                Probe::Denied(_) => true,
                // Nothing is planned for one that could not be asked.
                Probe::Down(_) | Probe::Unknown(_) => false,
            };
        let is_readable = !matches!(member.conf, Some(Err(_)));
        is_readable
            && settings.hosts.len() > 1
            && member.is_active()
            && view.is_mirror(member)
            && (file_changes || is_pending)
    };
    let changing = view.hosts.listed.iter().filter(is_changing);
    changing.map(|member| member.host).collect()
}

/// Refuses such a change, unless it is allowed on every member.
pub(crate) fn all_at_once(view: &View<'_>, cx: &Cx<'_>) -> Vec<Refusal> {
    let changing = changes_for_all(view).into_iter();
    let refused = changing.filter(|host| !cx.is_allowed(TOGETHER, host));
    let refusals = refused.map(|host| {
        let refusal = Refusal::new(
            format!("the password or port of {host} is not changed"),
            "mirrors reach each other with it, so all members are restarted at the same time, and none serves meanwhile",
            "name the password and port that are in use, or stop the applications and allow it on every member",
        );
        refusal.unless_allowed(TOGETHER, host)
    });
    refusals.collect()
}
