//! Where the running process differs from what it should run with.

use super::desired_config::{NoAddress, desired_live};
use super::run_time::takes_at_run_time;
use crate::observe::{Engine, Member};
use crate::settings::{Absent, Directive, Settings};
use formats::directives::{Directives, normal, same_setting, unquoted};
use formats::engine::Engine as Kind;

/// The directive whose lines are of one class of clients each.
pub(crate) const CLASSES: &str = "client-output-buffer-limit";

/// A directive whose live value differs from the desired one.
pub(crate) struct Drift {
    /// Of one that is to be absent: its default, or nothing where that is not known.
    pub(crate) desired: Directive,
    pub(crate) is_absent: bool,
    /// The value that the process runs with.
    pub(crate) live: Vec<String>,
    /// Whether CONFIG SET changes it.
    pub(crate) is_settable: bool,
}

impl Drift {
    pub(crate) fn key(&self) -> &str {
        &self.desired.key
    }

    /// The values of its lines in the file.
    pub(crate) fn lines(&self) -> &[String] {
        if self.is_absent { &[] } else { &self.desired.values }
    }

    /// The value as one argument of CONFIG SET.
    pub(crate) fn argument(&self) -> String {
        let values: Vec<&str> = self.desired.values.iter().map(|value| unquoted(value)).collect();
        values.join(" ")
    }

    /// In words, without secrets.
    pub(crate) fn describe(&self) -> String {
        let (key, live) = (self.key(), self.live.join(" "));
        if key == "requirepass" && !self.is_settable {
            return "it asks for no password, because a line of its file opens the default user".to_owned();
        }
        if matches!(key, "requirepass" | "masterauth") {
            let found = if live.is_empty() { "no" } else { "another" };
            return format!("it runs with {found} {key}");
        }
        match (self.is_absent, self.desired.values.is_empty()) {
            (false, _) => format!("it runs with {key} {live:?} instead of {:?}", self.argument()),
            (true, false) => {
                format!(
                    "it runs with {key} {live:?} instead of its default {:?}",
                    self.argument()
                )
            }
            (true, true) => format!("it was started with {key} {live:?}, which is to be absent"),
        }
    }
}

/// Every difference. A directive that the engine does not know is none: see [`unknown_keys`].
pub(crate) fn drifts(member: &Member<'_>, engine: &Engine) -> Result<Vec<Drift>, NoAddress> {
    let settings = member.settings;
    let empty = Directives::parse("", settings.engine);
    let file = member.directives.as_ref().unwrap_or(&empty);
    let desired = desired_live(member, file)?.into_iter();
    let drifts = desired.filter_map(|desired| {
        let live = engine.config(&desired.key)?;
        // CONFIG SET to the value that it already has changes nothing, so that takes a restart.
        let is_open = desired.key == "requirepass" && engine.has_open_user(settings);
        (is_open || !is_in_force(&desired, live)).then(|| Drift {
            is_absent: false,
            is_settable: !is_open && takes_at_run_time(settings.engine, &desired.key),
            live: live.to_vec(),
            desired,
        })
    });
    let absent = settings.absent.iter();
    let absent = absent.filter_map(|absent| absent_drift(settings.engine, absent, file, engine));
    Ok(drifts.chain(absent).collect())
}

/// A directive that is to be absent, and runs with another value than its default. Where that is not known, its line in the
/// file tells that the process may run with it.
fn absent_drift(kind: Kind, absent: &Absent, file: &Directives, engine: &Engine) -> Option<Drift> {
    let live = engine.config(&absent.key)?;
    let desired = Directive {
        key: absent.key.clone(),
        values: absent.default.map(str::to_owned).into_iter().collect(),
    };
    let differs = match absent.default {
        Some(_) => !is_in_force(&desired, live),
        None => file.last(&absent.key).is_some(),
    };
    differs.then(|| Drift {
        is_settable: absent.default.is_some() && takes_at_run_time(kind, &absent.key),
        live: live.to_vec(),
        desired,
        is_absent: true,
    })
}

/// A directive of several lines is one string live.
pub(super) fn is_in_force(desired: &Directive, live: &[String]) -> bool {
    let said = live.join(" ");
    let live = normal(&said);
    if desired.key == CLASSES {
        // The live value has all classes in a row, the desired one those that it changes.
        let live = format!(" {live} ");
        return desired
            .values
            .iter()
            .all(|value| live.contains(&format!(" {} ", normal(value))));
    }
    same_setting(&desired.key, &desired.values.join(" "), &said)
}

/// Directives of the inventory that the engine does not know. Kvrocks ignores such lines without a word (seen); Redis
/// would not have started.
pub(crate) fn unknown_keys<'s>(settings: &'s Settings, engine: &Engine) -> Vec<&'s str> {
    let keys = settings.directives.iter().map(|directive| directive.key.as_str());
    keys.filter(|key| engine.config(key).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_only_begins_like_the_live_one_is_not_in_force() {
        let live = ["normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60".to_owned()];
        let is_in_force = |value: &str| {
            let desired = Directive {
                key: "client-output-buffer-limit".to_owned(),
                values: vec![value.to_owned()],
            };
            is_in_force(&desired, &live)
        };
        assert!(is_in_force("pubsub 33554432 8388608 60"));
        assert!(!is_in_force("pubsub 33554432 8388608 6"));
    }
}
