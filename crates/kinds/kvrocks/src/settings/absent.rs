//! Directives that the inventory takes out of the file.

use config::Reader;

use super::defaults::default_of;
use super::directives::{cannot_be_compared, is_name, managed};
use super::secret_names::can_hold_secret;
use super::{Absent, Directive};
use formats::engine::Engine;

pub(super) fn read(reader: &Reader<'_>, engine: Engine, set: &[Directive]) -> Vec<Absent> {
    let is_set = |key: &str| {
        let mut set = set.iter();
        set.any(|directive| engine.is_same_directive(&directive.key, key))
    };
    let keys = kit::absent(reader, is_set, |key| stays(&key.to_ascii_lowercase(), engine));
    let keys = keys.into_iter().map(|key| {
        let key = key.to_ascii_lowercase();
        let default = default_of(engine, &key);
        Absent { key, default }
    });
    keys.collect()
}

/// Why a directive stays in the file, and what to do instead; `None` where it can be taken out.
fn stays(key: &str, engine: Engine) -> Option<(&'static str, &'static str)> {
    let by_hand = "take it out of the file by hand";
    if let Some(instead) = managed(key, engine) {
        return Some(("managed by the service itself", instead));
    }
    match key {
        _ if !is_name(key) => Some((
            "not the name of a directive",
            "letters, digits, dots, hyphens and underscores",
        )),
        "dir" | "dbfilename" | "appendfilename" | "appenddirname" | "db-name" => Some((
            "without it the engine looks elsewhere for its data",
            "leave it where it is",
        )),
        "daemonize" | "supervised" | "pidfile" => Some(("the unit counts on it", "leave it where it is")),
        _ if can_hold_secret(key) || cannot_be_compared(key, engine) => {
            Some(("it is not compared with the running server", by_hand))
        }
        _ if engine == Engine::Kvrocks && default_of(engine, key).is_none() => Some((
            "CONFIG REWRITE of Kvrocks writes every directive, and the default of this one is not known here",
            "set it in directives",
        )),
        _ => None,
    }
}
