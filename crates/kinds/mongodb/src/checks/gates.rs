//! What is waited for.

use plan::Gate;
use types::HostName;

use crate::observe::queries;
use crate::observe::view::View;
use crate::settings::Settings;

/// A server answers, and waits for a set or is in it.
pub(crate) const ANSWERS: &str = "answers";
/// A member is the primary.
pub(crate) const PRIMARY: &str = "primary";
/// A member does its part and is not far behind.
pub(crate) const SERVES: &str = "serves";
/// A newcomer has the data.
pub(crate) const HAS_DATA: &str = "has-data";
/// A majority has the configuration of a number, which follows the colon.
pub(crate) const COMMITTED: &str = "committed:";
/// A member handed the primary's role over.
pub(crate) const HANDED_OVER: &str = "handed-over";

/// The set does without a member, whose name follows the colon.
pub(crate) const SPARED: &str = "spared:";

/// A host holds nothing that the set's data would replace.
pub(crate) const NOTHING_TO_LOSE: &str = "nothing-to-lose";

/// A server that starts may have a journal to replay.
const STARTED: u64 = 600_000;
/// An election takes some ten seconds; on a busy machine more than one is needed.
const ELECTED: u64 = 180_000;
/// A member that was away catches up from the oplog.
const CAUGHT_UP: u64 = 3_600_000;
/// A newcomer copies everything.
const COPIED: u64 = 86_400_000;

pub(crate) fn answers(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} answers, and replicates");
    gate(settings, ANSWERS, Some(host), &[host], title, STARTED)
}

pub(crate) fn primary(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} is the primary");
    gate(settings, PRIMARY, Some(host), &[host], title, ELECTED)
}

pub(crate) fn serves(view: &View<'_>, host: &HostName) -> Gate {
    let max_lag_s = view.settings.max_lag_s;
    let title = format!("{host} is back, and at most {max_lag_s} s behind");
    of_all(view, SERVES, Some(host), title, CAUGHT_UP)
}

pub(crate) fn has_data(view: &View<'_>, host: &HostName) -> Gate {
    let max_lag_s = view.settings.max_lag_s;
    let title = format!("{host} has the data, and is at most {max_lag_s} s behind");
    of_all(view, HAS_DATA, Some(host), title, COPIED)
}

pub(crate) fn committed(view: &View<'_>, version: i64) -> Gate {
    let title = format!("a majority has version {version} of the configuration");
    of_all(view, &format!("{COMMITTED}{version}"), None, title, ELECTED)
}

pub(crate) fn handed_over(view: &View<'_>, host: &HostName) -> Gate {
    let title = format!("another member than {host} is the primary");
    of_all(view, HANDED_OVER, Some(host), title, ELECTED)
}

pub(crate) fn spared(view: &View<'_>, name: &str) -> Gate {
    let title = format!("all others are well, and a majority without {name}");
    of_all(view, &format!("{SPARED}{name}"), None, title, ELECTED)
}

/// Asked right before a host joins whose server did not run when the plan was made. The set is asked too, for one that
/// was removed from it holds what the set has.
pub(crate) fn nothing_to_lose(view: &View<'_>, host: &HostName) -> Gate {
    let title = format!("{host} holds nothing that the set's data would replace");
    let mut gate = of_all(view, NOTHING_TO_LOSE, Some(host), title, STARTED);
    if let Some(watched) = gate.watch.get_mut(host) {
        watched.extend(queries::data_directory(view.settings));
    }
    gate
}

/// A gate that looks at the whole set: at those that leave as well, for one of them may be the primary.
fn of_all(view: &View<'_>, check: &str, host: Option<&HostName>, title: String, limit_ms: u64) -> Gate {
    let formers = view.formers().map(|node| node.host);
    let watched: Vec<&HostName> = view.settings.hosts.iter().chain(formers).collect();
    gate(view.settings, check, host, &watched, title, limit_ms)
}

fn gate(
    settings: &Settings,
    check: &str,
    host: Option<&HostName>,
    watched: &[&HostName],
    title: String,
    limit_ms: u64,
) -> Gate {
    let watch = watched
        .iter()
        .map(|&host| (host.clone(), queries::live(settings)))
        .collect();
    Gate {
        service: Some(settings.name.clone()),
        check: check.to_owned(),
        host: host.cloned(),
        title,
        watch,
        limit_ms,
    }
}
