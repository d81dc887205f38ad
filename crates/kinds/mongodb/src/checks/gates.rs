//! The gates of tasks.

use std::collections::BTreeMap;

use plan::Gate;
use types::HostName;

use super::check::Check;
use crate::observe::View;
use crate::observe::queries;
use crate::settings::Settings;

/// A server that starts may have a journal to replay.
const STARTED: u64 = 600_000;
/// An election takes some ten seconds; on a busy machine more than one is needed.
const ELECTED: u64 = 180_000;
/// A member that was down catches up from the oplog.
const CAUGHT_UP: u64 = 3_600_000;
/// A joining member copies everything.
const COPIED: u64 = 86_400_000;

pub(crate) fn answers(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} answers, and replicates");
    gate(settings, &Check::Answers, Some(host), &[host], title, STARTED)
}

pub(crate) fn primary(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} is the primary");
    gate(settings, &Check::Primary, Some(host), &[host], title, ELECTED)
}

pub(crate) fn available(view: &View<'_>, host: &HostName) -> Gate {
    let max_lag_s = view.settings.max_lag_s;
    let title = format!("{host} is back, and at most {max_lag_s} s behind");
    of_all(view, &Check::Available, Some(host), title, CAUGHT_UP)
}

pub(crate) fn has_data(view: &View<'_>, host: &HostName) -> Gate {
    let max_lag_s = view.settings.max_lag_s;
    let title = format!("{host} has the data, and is at most {max_lag_s} s behind");
    of_all(view, &Check::HasData, Some(host), title, COPIED)
}

pub(crate) fn committed(view: &View<'_>, version: i64) -> Gate {
    let title = format!("a majority has version {version} of the configuration");
    of_all(view, &Check::Committed(version), None, title, ELECTED)
}

pub(crate) fn stepped_down(view: &View<'_>, host: &HostName) -> Gate {
    let title = format!("another member than {host} is the primary");
    of_all(view, &Check::SteppedDown, Some(host), title, ELECTED)
}

pub(crate) fn spared(view: &View<'_>, name: &str) -> Gate {
    let title = format!("all others are well, and a majority without {name}");
    of_all(view, &Check::Spared(name.to_owned()), None, title, ELECTED)
}

/// Asked right before a host joins whose server did not run when the plan was made. The set is asked too, for a former
/// member of it stores what the set has.
pub(crate) fn nothing_to_lose(view: &View<'_>, host: &HostName) -> Gate {
    let title = format!("{host} holds nothing that the set's data would replace");
    let mut gate = of_all(view, &Check::NothingToLose, Some(host), title, STARTED);
    if let Some(watched) = gate.watch.get_mut(host) {
        watched.extend(queries::data_directory(view.settings));
    }
    gate
}

/// A gate on the whole set: on former members as well, for one of them may be the primary.
fn of_all(view: &View<'_>, check: &Check, host: Option<&HostName>, title: String, limit_ms: u64) -> Gate {
    let former = view.former_members().map(|member| member.host);
    let watched: Vec<&HostName> = view.settings.hosts.iter().chain(former).collect();
    gate(view.settings, check, host, &watched, title, limit_ms)
}

fn gate(
    settings: &Settings,
    check: &Check,
    host: Option<&HostName>,
    watched: &[&HostName],
    title: String,
    limit_ms: u64,
) -> Gate {
    let watch: BTreeMap<_, _> = watched
        .iter()
        .map(|&host| (host.clone(), queries::live(settings)))
        .collect();
    kit::checks::gate(&settings.name, check, host, title, watch, limit_ms)
}
