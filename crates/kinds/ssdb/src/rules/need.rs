//! The need of each host's process, decided once for all steps.
//!
//! A server reads its file when it starts, and only then; whether it did is told by what it says of itself, and where
//! it says nothing, by the file's time and the process's.

use std::collections::BTreeSet;
use std::fmt;

use protocol::UnitVerb;
use types::HostName;

use super::consents::{TOGETHER, WIPE};
use super::data_loss::conflicts;
use super::queues::queues;
use super::shared_settings::changes_for_all;
use super::unusable::unusable;
use crate::observe::{Info, Member, View};
use kit::{Cx, Newer, Reason, Undecided, verbs_to_run};

/// The need of a host's process.
pub(crate) struct Need {
    pub(crate) how: How,
    pub(crate) unit: kit::Need,
    /// The master whose link stalls, where the process is restarted for that alone.
    pub(crate) stalled: Option<HostName>,
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
    /// The same before others, because a link of it stalls or was never let in, and connecting again heals it.
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

impl Need {
    /// A need that only this kind knows of.
    pub(crate) fn new(how: How, verbs: Vec<UnitVerb>, why: impl Into<String>) -> Self {
        let reason = Reason::Restart(why.into());
        Self {
            how,
            unit: kit::Need { verbs, reason },
            stalled: None,
        }
    }

    /// How many changes the peers remember of a host that will know of none, because it starts without data.
    pub(crate) fn forgotten(&self, view: &View<'_>, member: &Member<'_>) -> u64 {
        let is_empty = match self.how {
            How::StartEmpty | How::Refill => true,
            How::Start => !member.may_hold_data(view.settings),
            _ => false,
        };
        if is_empty { view.remembered(member.host) } else { 0 }
    }
}

/// The need of a host; the error says why it cannot be told, for people.
pub(crate) fn need(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Need>, String> {
    let (settings, host) = (view.settings, member.host);
    let unit = member.unit.as_ref().map_err(ToString::to_string)?;
    let file = member.file.as_ref().map_err(ToString::to_string)?;
    if !unit.exists() || unusable(view, member).is_some() {
        // The step `check` says so.
        return Ok(None);
    }
    if file.meta().is_none() && !cx.writes(host, &settings.config) {
        return Err(format!("{} does not exist", settings.config));
    }
    let mut verbs = verbs_to_run(host, &settings.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    let is_wiped = cx.is_allowed(WIPE, host);
    if view.fell_behind(member).is_some() {
        let why = "it is out of sync, and is filled again by the others; this was consented to";
        let is_refilled = is_wiped && queues(view, cx, Some(host)).is_none();
        return Ok(is_refilled.then(|| Need::new(How::Refill, verbs, why)));
    }
    if is_wiped && conflicts(view).contains(host) {
        let why = "its own data are set aside, and it copies those of the others; this was consented to";
        return Ok(Some(Need::new(How::StartEmpty, verbs, why)));
    }
    if view.is_overtaken(member).is_some() {
        verbs.push(UnitVerb::Restart);
        let why = "its peers remember more changes of it than it has made since it was rebuilt, and are out of sync with it";
        return Ok(Some(Need::new(How::Overtake, verbs, why)));
    }
    let cause = cause(view, member, cx);
    let process = member.process(settings);
    let unit = process.need(cx, || Ok::<_, Undecided>(cause.as_ref().map(ToString::to_string)));
    let unit = unit.map_err(|undecided| undecided.to_string())?;
    Ok(unit.map(|unit| match (unit.restarts(), cause) {
        (true, cause) => Need {
            how: how_to_restart(view, member, cx),
            unit,
            stalled: cause.and_then(Cause::stalled),
        },
        (false, _) => Need {
            how: if unit.starts() { How::Start } else { How::Quiet },
            unit,
            stalled: None,
        },
    }))
}

fn how_to_restart(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> How {
    let changes_for_all = changes_for_all(view);
    if changes_for_all.contains(member.host)
        && changes_for_all.iter().all(|host| cx.is_allowed(TOGETHER, host))
    {
        How::Start
    } else if view.is_mirror(member) {
        match member.server.up() {
            Some(info) if stalled(view, member).is_some() || is_kept_out(view, member, info) => {
                How::Reconnect
            }
            // One that refuses our password serves those who know its own.
            Some(_) | None => How::Roll,
        }
    } else if member.may_hold_data(view.settings) {
        How::Last
    } else {
        How::Start
    }
}

/// Why a running process must be restarted.
enum Cause {
    /// Its file changes.
    FileChanges,
    /// Its file is newer, and differs in this.
    NewerFile(Newer, Vec<String>),
    /// It lacks a mirror that its file names.
    Lacks(String),
    /// Its link to this master stalls.
    Stalled {
        from: HostName,
        /// Whether the master has no such connection.
        is_unheard: bool,
    },
}

impl Cause {
    fn stalled(self) -> Option<HostName> {
        match self {
            Self::Stalled { from, is_unheard: _ } => Some(from),
            Self::FileChanges | Self::NewerFile(..) | Self::Lacks(_) => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileChanges => f.write_str("its configuration changes"),
            Self::NewerFile(newer, details) if details.is_empty() => write!(f, "its file {newer}"),
            Self::NewerFile(_, details) => f.write_str(&details.join("; ")),
            Self::Lacks(what) => f.write_str(what),
            Self::Stalled {
                from,
                is_unheard: true,
            } => {
                write!(
                    f,
                    "its link to {from} says SYNC, and {from} has no such connection"
                )
            }
            Self::Stalled {
                from,
                is_unheard: false,
            } => write!(
                f,
                "its link to {from} says SYNC, and the canary that was written on {from} has not come"
            ),
        }
    }
}

fn cause(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Option<Cause> {
    if cx.writes(member.host, &view.settings.config) {
        return Some(Cause::FileChanges);
    }
    let info = member.server.up();
    if let Some(newer) = member.newer_file() {
        let details = info.map(|info| differences(view, member, info));
        return Some(Cause::NewerFile(newer, details.unwrap_or_default()));
    }
    // What a process that is younger than its file does not do, another start will not make it do.
    let info = info?;
    let lacks = missing(view, member, info).map(Cause::Lacks);
    lacks.or_else(|| {
        let (from, _) = stalled(view, member)?;
        let is_unheard = view
            .hosts
            .listed(&from)
            .is_some_and(|master| view.is_unheard(member, master));
        Some(Cause::Stalled { from, is_unheard })
    })
}

/// Differences between a running server and its file, as far as it tells.
fn differences(view: &View<'_>, member: &Member<'_>, info: &Info) -> Vec<String> {
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
    found.extend(missing(view, member, info));
    found
}

/// A mirror that the file names and the process does not have: its file was put there with an old date.
fn missing(view: &View<'_>, member: &Member<'_>, info: &Info) -> Option<String> {
    let conf = member.conf()?;
    let settings = view.settings;
    let lost = settings
        .peers(member.host)
        .filter(|peer| view.names(conf, peer) && view.link(info, peer).is_none());
    let lost: Vec<&str> = lost.map(HostName::as_str).collect();
    (!lost.is_empty()).then(|| format!("it does not mirror {}, which its file names", lost.join(", ")))
}

/// Whether a master that takes our password does not let a mirror in, whose process knows another one.
fn is_kept_out(view: &View<'_>, member: &Member<'_>, info: &Info) -> bool {
    let mut peers = view
        .settings
        .peers(member.host)
        .filter_map(|peer| view.hosts.listed(peer));
    peers.any(|peer| {
        let link = view.link(info, peer.host).filter(|_| peer.server.is_up());
        link.is_some_and(|link| link.status == "INIT")
    })
}

/// The master from which nothing comes over a link that says SYNC, and how many changes have not come: of several such
/// masters the one with most.
pub(crate) fn stalled(view: &View<'_>, member: &Member<'_>) -> Option<(HostName, u64)> {
    stalls(view, member).max_by_key(|(_, missing)| *missing)
}

/// All of them. The proof is a canary of an earlier run that stands there and not here, or that the master
/// has no such connection. Connecting again heals it (seen).
pub(crate) fn stalls<'n>(
    view: &'n View<'_>,
    member: &'n Member<'_>,
) -> impl Iterator<Item = (HostName, u64)> + 'n {
    let peers = view.settings.peers(member.host);
    peers.filter_map(|peer| {
        let info = member.server.up()?;
        let peer = view.hosts.listed(peer)?;
        let master = peer.server.up()?;
        let link = view.link(info, peer.host).filter(|link| link.status == "SYNC")?;
        let canary = master.canaries.get(peer.host);
        let has_come = canary.is_none_or(|canary| info.canaries.get(peer.host) == Some(canary));
        let is_stalled = !has_come || view.is_unheard(member, peer);
        is_stalled.then(|| (peer.host.clone(), master.max_seq.saturating_sub(link.last_seq)))
    })
}

/// The hosts that the needs of one kind are about, among those that are planned.
pub(crate) fn hosts_with<'h>(view: &View<'_>, cx: &Cx<'h>, hows: &[How]) -> BTreeSet<&'h HostName> {
    let has = |host: &&HostName| {
        let member = view.hosts.listed(host);
        let need = member.and_then(|member| need(view, member, cx).ok().flatten());
        need.is_some_and(|need| hows.contains(&need.how))
    };
    cx.hosts.iter().filter(has).collect()
}
