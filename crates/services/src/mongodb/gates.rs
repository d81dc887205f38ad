//! What is waited for.

use plan::Gate;
use types::HostName;

use super::queries;
use super::settings::Settings;

/// A server answers, and waits for a set or is in it.
pub(super) const ANSWERS: &str = "answers";
/// A member is the primary.
pub(super) const PRIMARY: &str = "primary";
/// A member does its part and is not far behind.
pub(super) const SERVES: &str = "serves";
/// A newcomer has the data.
pub(super) const HAS_DATA: &str = "has-data";
/// A majority has the configuration of a number, which follows the colon.
pub(super) const COMMITTED: &str = "committed:";
/// A member handed the primary's role over.
pub(super) const HANDED_OVER: &str = "handed-over";

/// A server that starts may have a journal to replay.
const STARTED: u64 = 600_000;
/// An election takes some ten seconds; on a busy machine more than one is needed.
const ELECTED: u64 = 180_000;
/// A member that was away catches up from the oplog.
const CAUGHT_UP: u64 = 3_600_000;
/// A newcomer copies everything.
const COPIED: u64 = 86_400_000;

pub(super) fn answers(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} answers, and replicates");
    gate(settings, ANSWERS, Some(host), &[host], title, STARTED)
}

pub(super) fn primary(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} is the primary");
    gate(settings, PRIMARY, Some(host), &[host], title, ELECTED)
}

pub(super) fn serves(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("{host} is back, and at most {} s behind", settings.max_lag_s);
    gate(
        settings,
        SERVES,
        Some(host),
        &everybody(settings),
        title,
        CAUGHT_UP,
    )
}

pub(super) fn has_data(settings: &Settings, host: &HostName) -> Gate {
    let title = format!(
        "{host} has the data, and is at most {} s behind",
        settings.max_lag_s
    );
    gate(
        settings,
        HAS_DATA,
        Some(host),
        &everybody(settings),
        title,
        COPIED,
    )
}

pub(super) fn committed(settings: &Settings, version: i64) -> Gate {
    let title = format!("a majority has version {version} of the configuration");
    let check = format!("{COMMITTED}{version}");
    gate(settings, &check, None, &everybody(settings), title, ELECTED)
}

pub(super) fn handed_over(settings: &Settings, host: &HostName) -> Gate {
    let title = format!("another member than {host} is the primary");
    gate(
        settings,
        HANDED_OVER,
        Some(host),
        &everybody(settings),
        title,
        ELECTED,
    )
}

fn everybody(settings: &Settings) -> Vec<&HostName> {
    settings.hosts.iter().collect()
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
