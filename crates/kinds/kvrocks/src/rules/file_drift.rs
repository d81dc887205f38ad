//! Where the running process differs from its file, no matter who changed which of them, and which is newer.

use super::drift::is_in_force;
use crate::observe::{Engine, Member};
use crate::settings::{Directive, Settings, compared, default_of};
use formats::directives::unquoted;
use formats::engine::Engine as Kind;

/// A directive that the process runs with otherwise.
pub(crate) struct FileDrift {
    pub(crate) key: String,
    live: String,
    said: String,
    /// Whether the file does not say it, so that it is the default.
    is_default: bool,
}

impl FileDrift {
    /// In words.
    pub(crate) fn describe(&self, path: &str) -> String {
        let Self { key, live, said, .. } = self;
        let verb = if self.is_default { "leaves that at" } else { "says" };
        format!("it runs with {key} {live:?}, and {path} {verb} {said:?}")
    }
}

/// Every such directive that can be compared; none where the file is not known, or not all of it.
pub(crate) fn file_drifts(member: &Member<'_>, engine: &Engine) -> Vec<FileDrift> {
    let settings = member.settings;
    let Some(file) = &member.directives else {
        return Vec::new();
    };
    if settings.engine != Kind::Kvrocks && file.last("include").is_some() {
        return Vec::new();
    }
    let drift = |key: String| {
        let live = engine.config(&key)?;
        let lines: Vec<String> = file.all(&key).into_iter().map(str::to_owned).collect();
        let values = match lines.last() {
            Some(last) if !Kind::adds_up(&key) => vec![last.clone()],
            Some(_) => lines.clone(),
            None => vec![default_of(settings.engine, &key)?.to_owned()],
        };
        let desired = Directive { key, values };
        let said = desired.values.join(" ");
        let is_same = is_in_force(&desired, live) || said.eq_ignore_ascii_case(&live.join(" "));
        (!is_same).then(|| FileDrift {
            live: live.join(" "),
            said: unquoted(&said).to_owned(),
            is_default: lines.is_empty(),
            key: desired.key,
        })
    };
    keys(settings).into_iter().filter_map(drift).collect()
}

/// What is compared: what the inventory names, under its names, and the others.
fn keys(settings: &Settings) -> Vec<String> {
    let set = settings.directives.iter().map(|directive| directive.key.clone());
    let absent = settings.absent.iter().map(|absent| absent.key.clone());
    let others = compared(settings.engine).filter(|key| !settings.manages(key));
    set.chain(absent).chain(others.map(str::to_owned)).collect()
}
