//! Where the running process differs from what it should run with.

use crate::observe::replies::{Engine, live_value};
use crate::observe::view::Member;
use crate::rules::desired_config::{Wanted, wanted_live};
use crate::rules::run_time::takes_at_run_time;
use crate::settings::Settings;
use formats::directives::{Directives, normal, unquoted};

/// A directive whose live value is another than the wanted one.
pub(crate) struct Drift {
    pub(crate) wanted: Wanted,
    /// The value that the process runs with.
    pub(crate) live: Vec<String>,
    /// Whether CONFIG SET changes it.
    pub(crate) is_settable: bool,
}

impl Drift {
    /// The value as one argument of CONFIG SET.
    pub(crate) fn argument(&self) -> String {
        let values: Vec<&str> = self.wanted.values.iter().map(|value| unquoted(value)).collect();
        values.join(" ")
    }

    /// In words, secrets left out.
    pub(crate) fn describe(&self) -> String {
        let key = &self.wanted.key;
        let live = self.live.join(" ");
        if key == "requirepass" && !self.is_settable {
            return "it asks for no password, for a line of its file opens the default user".to_owned();
        }
        if matches!(key.as_str(), "requirepass" | "masterauth") {
            let found = if live.is_empty() { "no" } else { "another" };
            return format!("it runs with {found} {key}");
        }
        format!("it runs with {key} {live:?} instead of {:?}", self.argument())
    }
}

/// Every difference. A directive that the engine does not know is none: see [`unknown_keys`].
pub(crate) fn drifts(
    settings: &Settings,
    member: &Member<'_>,
    engine: &Engine,
) -> Result<Vec<Drift>, String> {
    let file = member
        .directives(settings)
        .unwrap_or_else(|| Directives::parse("", settings.engine.has_aliases()));
    let mut drifts = Vec::new();
    for wanted in wanted_live(settings, member, &file)? {
        let Some(live) = engine.config(&wanted.key) else {
            continue;
        };
        // CONFIG SET to the value that it has already changes nothing, so that takes a restart.
        let is_open = wanted.key == "requirepass" && engine.has_open_user(settings);
        if is_open || !is_in_force(&wanted, live) {
            drifts.push(Drift {
                is_settable: !is_open && takes_at_run_time(settings.engine, &wanted.key),
                live: live.to_vec(),
                wanted,
            });
        }
    }
    Ok(drifts)
}

fn is_in_force(wanted: &Wanted, live: &[String]) -> bool {
    let live = live_value(live);
    if wanted.key == "client-output-buffer-limit" {
        // The live value has all classes, the wanted one those that it changes.
        return wanted.values.iter().all(|value| live.contains(&normal(value)));
    }
    normal(&wanted.values.join(" ")) == live
}

/// Directives of the inventory that the engine does not know. Kvrocks ignores such lines without a word (seen); Redis
/// would not have started.
pub(crate) fn unknown_keys<'s>(settings: &'s Settings, engine: &Engine) -> Vec<&'s str> {
    let keys = settings.directives.iter().map(|directive| directive.key.as_str());
    keys.filter(|key| engine.config(key).is_none()).collect()
}
