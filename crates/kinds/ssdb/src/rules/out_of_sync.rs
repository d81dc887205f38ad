//! Mirrors that are out of sync: only a full copy helps, on an empty directory.

use plan::Refusal;
use types::HostName;

use super::consents::WIPE;
use super::queues::queues;
use crate::observe::{Member, View};
use kit::Cx;

/// Refuses to repair a mirror that is out of sync, without consent.
pub(crate) fn out_of_sync(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let master = view.fell_behind(member)?;
    let host = member.host;
    let mut others = view.hosts.listed.iter().filter(|other| other.host != host);
    let healthy = others.find(|other| view.serves(other));
    let refuse = |resolve: String| {
        let why = match view.misled(member) {
            Some((_, wrong)) => format!(
                "its link to {master} went to {wrong}, so it lacks changes of {master}: only a full copy helps, which its old \
                 data must not meet"
            ),
            None => format!(
                "it is out of sync: it needs changes of {master} that are no longer in the binlog there, so only a full copy \
                 helps, which its old data must not meet"
            ),
        };
        Refusal::new(format!("{host} is not repaired"), why, resolve).on(host)
    };
    if let Some(queues) = queues(view, cx, Some(host)) {
        return Some(queues.refuse(format!("{host} is not filled again")).on(host));
    }
    let Some(healthy) = healthy else {
        let resolve = "no other member is in sync: decide by hand whose data are kept";
        return Some(refuse(resolve.to_owned()));
    };
    let resolve = format!(
        "with consent its data are moved aside, and it copies everything from {}; writes that only it has are lost to the \
         others then{}",
        healthy.host,
        binlog_too_small(view, host)
    );
    (!cx.is_allowed(WIPE, host)).then(|| refuse(resolve).unless_allowed(WIPE, host))
}

/// What there is to say where a copy from all others may push out of the binlog what they remember of a host. Each item was
/// a change once, so a master has no more items than it made changes.
fn binlog_too_small(view: &View<'_>, host: &HostName) -> String {
    let others = view.hosts.listed.iter().filter(|other| other.host != host);
    let copied: u64 = others.filter_map(|other| Some(other.server.up()?.max_seq)).sum();
    let capacity = view.settings.capacity;
    if copied <= view.remembered(host).saturating_add(capacity) {
        return String::new();
    }
    format!(
        ". Its binlog keeps {capacity} changes, and a copy from all others may make up to {copied}: where they hold that \
         many items, raise `capacity` first, or they are out of sync with it for good afterwards"
    )
}
