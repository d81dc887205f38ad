//! The trial of rabbitmq.conf before it takes its place: a bad one is refused in the broker's own words, and costs no member.

use plan::Facts;
use protocol::CANDIDATE;
use protocol::facts::FileMeta;
use types::HostName;

use crate::observe::{Configuration, queries};
use crate::settings::Settings;

/// Ran with 3.10.8; 3.13, 4.0 and 4.3 have the same function (`rabbit_prelaunch_conf`).
const SCRIPT: &str = include_str!("trial.sh");

/// The program that tries a file for a broker that runs; `None` where it does not, or does not tell what it takes.
pub(super) fn argv(settings: &Settings, host: &HostName, facts: &Facts) -> Option<Vec<String>> {
    let configuration = Configuration::of(settings, host, facts)?;
    let cookie = facts.get(host, &queries::cookie(settings)).ok();
    let FileMeta { owner, group, .. } = cookie?.meta()?;
    let path = settings.config_path.as_str();
    let words = [
        "sh",
        "-c",
        SCRIPT,
        "sh",
        owner,
        group,
        &configuration.plugins,
        CANDIDATE,
        path,
    ];
    let others = configuration.files.iter().map(String::as_str);
    let words = words.into_iter().chain(others.filter(|file| *file != path));
    Some(words.map(str::to_owned).collect())
}
