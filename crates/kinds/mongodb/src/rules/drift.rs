//! Drift: options of a running process that are not those of its file, no matter who changed which.

use formats::mongod_conf::Conf;
use kit::Freshness;
use protocol::text::OPEN;
use serde_json::Value;

use super::mongod_conf::{is_same, live_values};
use crate::observe::Member;
use crate::settings::{Settings, is_below};

/// What a process runs with, as `getCmdLineOpts` tells it, and its file does not say so; `None` where nothing is known of it.
///
/// A key of both that differs always counts. One of either alone counts where the file was changed since the start, for mongod
/// tells some keys under other names (`net.ssl`, `net.bindIpAll`), and where the command line names the file alone.
pub(crate) fn drift(settings: &Settings, member: &Member<'_>) -> Option<String> {
    let conf = member.conf.as_ref()?.as_ref().ok()?;
    let live = live_values(member.server.up()?.options.as_ref()?);
    let file = member.conf_file.as_ref().ok()?;
    let is_changed = Freshness::of(&settings.config_path, file, member.unit.as_ref().ok()?)
        .newer()
        .is_some();
    let is_told = |path: &str| is_changed && member.program.is_some() && !path.starts_with("net.bindIp");
    let found = |path: &str| {
        live.iter()
            .find(|(known, _)| known == path)
            .map(|(_, value)| value)
    };
    let of_file = conf.values().filter(|(path, value)| {
        is_comparable(value)
            && match found(path) {
                Some(found) => !is_same(member, path, value, found),
                None => is_told(path) && !is_off(value),
            }
    });
    let is_more = |(path, value): &&(String, Value)| {
        is_told(path) && !is_off(value) && path != "config" && !has_any(conf, path)
    };
    let of_process = live.iter().filter(is_more);
    let mut keys: Vec<&str> = of_file.map(|(path, _)| path).collect();
    keys.extend(of_process.map(|(path, _)| path.as_str()));
    let path = &settings.config_path;
    (!keys.is_empty()).then(|| format!("it runs with other options than {path} has: {}", keys.join(", ")))
}

/// A secret is masked in the file and in the answer, and lists are told in another form.
fn is_comparable(value: &Value) -> bool {
    !value.is_array() && value.as_str().is_none_or(|text| !text.contains(OPEN))
}

fn is_off(value: &Value) -> bool {
    *value == Value::Bool(false)
}

/// Whether the file has a key, or one below it or above.
fn has_any(conf: &Conf, path: &str) -> bool {
    let mut keys = conf.values();
    keys.any(|(key, _)| is_below(key, path) || is_below(path, key))
}
