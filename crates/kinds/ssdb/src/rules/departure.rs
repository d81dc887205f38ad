//! Departing members, and the proof that the others have the data that clients wrote on them.

use std::collections::BTreeSet;

use types::HostName;

use super::consents::LEAVE;
use super::former_members::Departing;
use crate::observe::{Member, View};
use kit::Cx;

/// The hosts that the step `leave` lets go.
pub(crate) fn departing<'v>(
    view: &'v View<'_>,
    strangers: &'v BTreeSet<String>,
    cx: &Cx<'_>,
) -> Departing<'v> {
    let is_allowed = |host: &HostName| cx.is_allowed(LEAVE, host);
    let formers = view.departing().map(|former| (former.host, former));
    let formers = formers
        .filter(|(host, former)| unproven(view, former, cx).is_none() || is_allowed(host))
        .map(|(host, _)| host.as_str());
    let strangers = strangers
        .iter()
        .filter(|name| name.parse().is_ok_and(|host| is_allowed(&host)))
        .map(String::as_str);
    Departing(formers.chain(strangers).collect())
}

/// Why it cannot be proven that the members have all that clients wrote on a host.
pub(crate) fn unproven(view: &View<'_>, former: &Member<'_>, cx: &Cx<'_>) -> Option<String> {
    let host = former.host;
    if let Some(why) = former.unreachable {
        return Some(format!("it cannot be reached: {why}"));
    }
    if !cx.others.contains(host) {
        return Some("it is not observed in this plan".to_owned());
    }
    if former.unit.as_ref().is_ok_and(|unit| !unit.exists()) {
        return Some(format!(
            "there is no unit {} that could be stopped",
            view.settings.unit
        ));
    }
    if let Some(trouble) = former.trouble().filter(|_| !view.is_to_start(former)) {
        return Some(trouble);
    }
    if !view.is_source(former) {
        return Some(format!(
            "no member mirrors {host}: what clients write there stays there"
        ));
    }
    let mut lost = view
        .hosts
        .listed
        .iter()
        .filter(|member| !cx.hosts.contains(member.host));
    lost.next().map(|member| {
        format!(
            "{} is not observed in this plan, and would not get what it lacks of {host}",
            member.host
        )
    })
}
