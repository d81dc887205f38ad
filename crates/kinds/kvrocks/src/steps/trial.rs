//! The trial of a file before it takes its place: a bad one is refused with the engine's own words, and costs no member.
//!
//! Kvrocks has no trial: it opens its store when it starts. There the first member that is restarted proves the file.

use crate::settings::{Settings, owner, secret_names};
use formats::engine::Engine;
use protocol::CANDIDATE;

/// Runs on Redis 7.0.15; the options are those of `config.c` since 5.0, `tls-port` since 6.0.
const SCRIPT: &str = include_str!("trial.sh");

/// The program that tries a file; `None` where there is none.
pub(super) fn argv(settings: &Settings) -> Option<Vec<String>> {
    if settings.engine == Engine::Kvrocks {
        return None;
    }
    let (user, group) = owner(&settings.owner);
    let names = secret_names();
    let words = [
        "sh",
        "-c",
        SCRIPT,
        "sh",
        CANDIDATE,
        &settings.unit,
        user,
        group,
        &names,
    ];
    Some(words.map(str::to_owned).to_vec())
}
