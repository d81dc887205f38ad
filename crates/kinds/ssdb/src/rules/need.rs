//! What each host's process needs, decided once for all steps.
//!
//! A server reads its file when it starts, and only then; whether it did is told by what it says of itself, and where
//! it says nothing, by the file's time and the process's.

use std::collections::BTreeSet;

use protocol::UnitVerb;
use types::HostName;

use crate::observe::replies::Info;
use crate::observe::view::{Node, Server, View};
use crate::steps::check::{self, TOGETHER, WIPE};
use kit::verbs_to_run;
use kit::{ASKED, Cx};

/// What is done to a process, and why.
pub(crate) struct Need {
    pub(crate) how: How,
    pub(crate) verbs: Vec<UnitVerb>,
    pub(crate) reason: String,
}

/// When and how it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// At once, beside others: nobody is served by it, or all members change at the same time.
    Start,
    /// At once, on an empty directory: its own data are set aside first.
    StartEmpty,
    /// In its turn, with the others serving.
    Roll,
    /// The same before others, because a link of it stalls and connecting again heals it.
    Reconnect,
    /// In its turn, because it alone holds data that the others are to copy.
    Last,
    /// In its turn, on an empty directory, to be filled by the others.
    Refill,
    /// In its turn, after it has made as many changes as its peers remember of it.
    Overtake,
    /// Only systemd is told something: it runs on.
    Quiet,
}

/// What a host needs; the error says why it cannot be told.
pub(crate) fn need(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Result<Option<Need>, String> {
    let settings = view.settings;
    let unit = node.unit.as_ref().map_err(ToString::to_string)?;
    let file = node.file.as_ref().map_err(ToString::to_string)?;
    if !unit.exists() || check::stops(view, node) {
        // The step `check` says so.
        return Ok(None);
    }
    if file.meta().is_none() && !cx.writes(node.host, &settings.config) {
        return Err(format!("{} is not there", settings.config));
    }
    let mut verbs =
        verbs_to_run(node.host, &settings.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    let is_wiped = cx.is_allowed(WIPE, node.host);
    if view.fell_behind(node).is_some() {
        let reason = "it is out of sync, and is filled anew by the others; this was consented to".to_owned();
        return Ok(is_wiped.then_some(Need {
            how: How::Refill,
            verbs,
            reason,
        }));
    }
    if is_wiped && check::conflicts(view).contains(&node.host) {
        let reason =
            "its own data are set aside, and it copies those of the others; this was consented to".to_owned();
        return Ok(Some(Need {
            how: How::StartEmpty,
            verbs,
            reason,
        }));
    }
    if view.is_overtaken(node).is_some() {
        verbs.push(UnitVerb::Restart);
        let reason = "its peers remember more changes of it than it has made since it was rebuilt, and are out of sync with it";
        return Ok(Some(Need {
            how: How::Overtake,
            verbs,
            reason: reason.to_owned(),
        }));
    }
    let (how, reason) = if verbs.contains(&UnitVerb::Start) {
        (How::Start, "it does not run".to_owned())
    } else if let Some(reason) = restart_reason(view, node, cx) {
        verbs.push(UnitVerb::Restart);
        (how_to_restart(view, node, cx), reason)
    } else if verbs.contains(&UnitVerb::Enable) {
        (How::Quiet, "it does not start at boot".to_owned())
    } else if verbs.is_empty() {
        return Ok(None);
    } else {
        (
            How::Quiet,
            "the unit's file was changed since systemd read it".to_owned(),
        )
    };
    Ok(Some(Need { how, verbs, reason }))
}

fn how_to_restart(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> How {
    let changes_for_all = check::changes_for_all(view);
    if changes_for_all.contains(node.host) && changes_for_all.iter().all(|host| cx.is_allowed(TOGETHER, host))
    {
        How::Start
    } else if view.is_mirror(node) {
        match node.server.up() {
            Some(info) if stalled(view, node, info).is_some() => How::Reconnect,
            Some(_) => How::Roll,
            None => How::Start,
        }
    } else if node.may_hold_data(view.settings) {
        How::Last
    } else {
        How::Start
    }
}

/// Why the process must be started again; `None` where it need not.
fn restart_reason(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Option<String> {
    if cx.writes(node.host, &view.settings.config) {
        return Some("its configuration changes".to_owned());
    }
    if node.has_newer_file() {
        let details = node
            .server
            .up()
            .map(|info| differences(view, node, info))
            .unwrap_or_default();
        return Some(match details.as_slice() {
            [] => "its file is newer than its process".to_owned(),
            details => details.join("; "),
        });
    }
    match &node.server {
        Server::Up(info) => {
            missing(view, node, info).or_else(|| stalled(view, node, info).map(|from| describe_stall(&from)))
        }
        // What a process that is younger than its file does not do, another start will not make it do.
        Server::Denied(_) | Server::Down(_) => None,
    }
    .or_else(|| {
        let is_asked = cx.asks_restart(node.host, &view.settings.unit);
        is_asked.then(|| ASKED.to_owned())
    })
}

/// What a running server does otherwise than its file says, as far as it tells.
fn differences(view: &View<'_>, node: &Node<'_>, info: &Info) -> Vec<String> {
    let mut found = Vec::new();
    let capacity = view.settings.capacity;
    if let Some(live) = info.capacity
        && live != capacity
    {
        found.push(format!(
            "it runs with a binlog of {live} changes instead of {capacity}"
        ));
    }
    if !info.asks_password {
        found.push("it runs without a password".to_owned());
    }
    found.extend(missing(view, node, info));
    found
}

/// A mirror that the file names and the process does not have: its file was put there with an old date.
fn missing(view: &View<'_>, node: &Node<'_>, info: &Info) -> Option<String> {
    let conf = node.conf.as_ref()?.as_ref().ok()?;
    let settings = view.settings;
    let lost = settings
        .peers(node.host)
        .filter(|peer| view.names(conf, peer) && view.link(info, peer).is_none());
    let lost: Vec<&str> = lost.map(HostName::as_str).collect();
    (!lost.is_empty()).then(|| format!("it does not mirror {}, which its file names", lost.join(", ")))
}

fn describe_stall(from: &HostName) -> String {
    format!("its link to {from} says SYNC, and the canary that was written on {from} has not come")
}

/// The master from which nothing comes over a link that says SYNC; the proof is a canary of an earlier run that stands
/// there and not here. Connecting again heals it (seen).
pub(crate) fn stalled(view: &View<'_>, node: &Node<'_>, info: &Info) -> Option<HostName> {
    view.settings.peers(node.host).find_map(|peer| {
        let master = view.node(peer)?.server.up()?;
        let canary = master.canaries.get(peer)?;
        let is_synchronised = view.link(info, peer)?.status == "SYNC";
        let has_come = info.canaries.get(peer) == Some(canary);
        (is_synchronised && !has_come).then(|| peer.clone())
    })
}

/// The hosts that the needs of one kind are about, among those that are planned.
pub(crate) fn hosts_with<'h>(view: &View<'_>, cx: &Cx<'h>, hows: &[How]) -> BTreeSet<&'h HostName> {
    let has = |host: &&HostName| {
        let node = view.node(host);
        let need = node.and_then(|node| need(view, node, cx).ok().flatten());
        need.is_some_and(|need| hows.contains(&need.how))
    };
    cx.hosts.iter().filter(has).collect()
}
