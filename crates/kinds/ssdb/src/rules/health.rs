//! The health of members and links, as gates and the status judge it.

use plan::Verdict;
use types::HostName;

use crate::observe::{Info, Member, View};

/// The answer of a running server; otherwise the meaning of its silence: a server that was just started will not come back
/// by itself, one of the others may be about to be started.
pub(crate) fn answers<'n>(
    view: &View<'_>,
    member: &'n Member<'_>,
    was_started: bool,
) -> Result<&'n Info, Verdict> {
    let host = member.host;
    if was_started
        && let Ok(unit) = &member.unit
        && matches!(unit.active.as_str(), "failed" | "inactive")
    {
        let unit = &view.settings.unit;
        return Err(Verdict::Fail(format!(
            "{unit} on {host} has ended: `journalctl -u {unit}` and its log tell why"
        )));
    }
    match (member.server.up(), member.trouble()) {
        (Some(info), _) if info.address != view.settings.place(host) => {
            let place = view.settings.place(host);
            Err(Verdict::Wait(format!(
                "{host} does not answer on {place}, where the others look for it"
            )))
        }
        (Some(info), _) if !info.asks_password => Err(Verdict::Wait(format!("{host} asks for no password"))),
        (Some(info), _) => Ok(info),
        (None, trouble) => Err(Verdict::Wait(format!("{host}: {}", trouble.unwrap_or_default()))),
    }
}

/// Whether the link from a mirror to a master is in sync and has caught up.
pub(crate) fn flows(
    view: &View<'_>,
    mirror: &HostName,
    info: &Info,
    master: &HostName,
    of_master: Option<&Info>,
    must_exist: bool,
) -> Result<(), Verdict> {
    let Some(link) = view.link(info, master) else {
        return if must_exist {
            Err(Verdict::Wait(format!("{mirror} does not mirror {master}")))
        } else {
            Ok(())
        };
    };
    let (min, max) = of_master.map_or((0, link.last_seq), |info| (info.min_seq, info.max_seq));
    let lag = max.saturating_sub(link.last_seq);
    let ends = view.hosts.any(mirror).zip(view.hosts.any(master));
    match link.status.as_str() {
        "OUT_OF_SYNC" => Err(Verdict::Fail(format!(
            "{mirror} is out of sync with {master}: the change after {} is not in the binlog there, which has {} to {}; the next \
             plan says what helps",
            link.last_seq, min, max
        ))),
        "SYNC" if lag > view.settings.max_lag || (link.last_seq == 0 && lag > 0) => Err(Verdict::Wait(
            format!("{mirror} is {lag} changes behind {master}"),
        )),
        // The two were not asked at the same moment.
        "SYNC" if link.last_seq > max.saturating_add(view.settings.max_lag) => Err(Verdict::Wait(format!(
            "{mirror} has the change {} of {master}, which has made {max}: its link leads elsewhere",
            link.last_seq
        ))),
        "SYNC" if ends.is_some_and(|(mirror, master)| view.is_unheard(mirror, master)) => Err(Verdict::Wait(
            format!("the link of {mirror} to {master} says SYNC, and {master} has no such connection"),
        )),
        "SYNC" => Ok(()),
        other => Err(Verdict::Wait(format!(
            "the link of {mirror} to {master} is {other}"
        ))),
    }
}
