//! The keys of mongod.conf as they should be, against those of a file and of a running process.

use std::collections::BTreeSet;

use formats::mongod_conf::{Change, Conf};
use protocol::facts::Bson;
use serde_json::Value;

use crate::observe::{Member, Membership};
use crate::settings::{Settings, is_below};

/// The changes that a file needs.
pub(crate) fn changes(settings: &Settings, member: &Member<'_>, conf: &Conf) -> Vec<Change> {
    let desired = desired(settings, member).into_iter();
    let wrong =
        desired.filter(|(path, value)| !has_value(member, path, value.as_ref(), |path| conf.get(path)));
    let unwanted = conf.values().filter(|(path, _)| is_absent(settings, path));
    wrong
        .chain(unwanted.map(|(path, _)| (path.to_owned(), None)))
        .collect()
}

/// Whether the inventory has a key taken out.
fn is_absent(settings: &Settings, path: &str) -> bool {
    settings.absent.iter().any(|absent| is_below(path, absent))
}

/// The options that a process runs with and should not, in words.
pub(crate) fn differences(settings: &Settings, member: &Member<'_>, parsed: &Bson) -> Vec<String> {
    let live = live_values(parsed);
    let get = |path: &str| {
        let found = live.iter().find(|(known, _)| known == path);
        found.map(|(_, value)| value)
    };
    let (mut differences, mut missing) = (Vec::new(), Vec::new());
    for (path, desired) in desired(settings, member) {
        if has_value(member, &path, desired.as_ref(), get) {
            continue;
        }
        match (get(&path), desired) {
            (Some(found), Some(desired)) => {
                differences.push(format!("it runs with {path} {found} instead of {desired}"));
            }
            (_, None) => differences.push(format!("it runs with {path}")),
            (None, Some(_)) => missing.push(path),
        }
    }
    let unwanted = live.iter().filter(|(path, _)| is_absent(settings, path));
    differences.extend(unwanted.map(|(path, _)| format!("it runs with {path}")));
    if !missing.is_empty() {
        differences.push(format!("it runs without {}", missing.join(", ")));
    }
    differences
}

/// A key that the unit's command line overrides with something else than what it should be.
pub(crate) fn overridden<'m>(
    settings: &Settings,
    member: &'m Member<'_>,
) -> Option<&'m (&'static str, Value)> {
    let find = |path: &str| member.overridden.iter().find(|(key, _)| *key == path);
    let desired = desired(settings, member);
    let mut wrong = desired.iter().filter_map(|(path, value)| {
        let is_meant = has_value(member, path, value.as_ref(), |path| Some(&find(path)?.1));
        find(path).filter(|_| !is_meant)
    });
    wrong.next()
}

/// The keys as they should be. Where the inventory does not say where to listen, what an operator chose stays, as long as the
/// other members reach it there.
fn desired(settings: &Settings, member: &Member<'_>) -> Vec<(String, Option<Value>)> {
    let mut keys = settings.conf(member.host);
    // The first user is made over the loopback.
    let makes_users = settings.manages_auth() && member.membership() != Some(&Membership::Member);
    let Some(Ok(conf)) = member
        .conf
        .as_ref()
        .filter(|_| settings.bind.is_none() && !makes_users)
    else {
        return keys;
    };
    let is_reached = |value: &Value| {
        let addresses = addresses(member, value);
        [member.host.as_str(), "0.0.0.0", "::"]
            .iter()
            .any(|any| addresses.contains(*any))
    };
    match (conf.get("net.bindIp"), conf.get("net.bindIpAll")) {
        (Some(found), _) if is_reached(found) => {
            for (_, value) in keys.iter_mut().filter(|(path, _)| path == "net.bindIp") {
                *value = Some(found.clone());
            }
        }
        (None, Some(Value::Bool(true))) => keys.retain(|(path, _)| !path.starts_with("net.bindIp")),
        _ => {}
    }
    keys
}

/// Whether a key has the desired value, directly or by the server's default.
fn has_value<'c>(
    member: &Member<'_>,
    path: &str,
    desired: Option<&Value>,
    get: impl Fn(&str) -> Option<&'c Value>,
) -> bool {
    let found = get(path);
    match (desired, found) {
        (None, found) => found.is_none_or(|found| found == &Value::Bool(false)),
        (Some(desired), None) => match path {
            "net.port" => desired == &Value::from(27017),
            // A key file implies it.
            "security.authorization" => get("security.keyFile").is_some(),
            _ => false,
        },
        (Some(desired), Some(found)) => is_same(member, path, desired, found),
    }
}

/// Whether two values of a key mean the same.
pub(super) fn is_same(member: &Member<'_>, path: &str, one: &Value, other: &Value) -> bool {
    if path == "net.bindIp" {
        return addresses(member, one) == addresses(member, other);
    }
    let is_same_number = || one.as_f64().is_some_and(|number| other.as_f64() == Some(number));
    one == other || text(one) == text(other) || is_same_number()
}

/// `"2"` and `2` are the same to mongod.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The order of addresses means nothing, and the addresses to which a host resolves its own name are that name.
fn addresses(member: &Member<'_>, value: &Value) -> BTreeSet<String> {
    let text = text(value);
    let addresses = text.split(',').map(str::trim).map(|address| match address {
        "localhost" => "127.0.0.1",
        own if member.addresses.iter().any(|its| its == own) => member.host.as_str(),
        other => other,
    });
    addresses.map(str::to_owned).collect()
}

/// The options by dotted path, as `getCmdLineOpts` nests them.
pub(super) fn live_values(parsed: &Bson) -> Vec<(String, Value)> {
    fn collect(prefix: &str, value: &Bson, into: &mut Vec<(String, Value)>) {
        for (name, value) in value.fields() {
            // `--replSet` on a command line shows under another name than the key of the file.
            let name = if name == "replSet" { "replSetName" } else { name };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            };
            let scalar = match value {
                Bson::Doc(_) => {
                    collect(&path, value, into);
                    continue;
                }
                Bson::Bool(flag) => Value::from(*flag),
                Bson::Str(text) => Value::from(text.as_str()),
                other => match (other.as_int(), other.as_f64()) {
                    (Some(whole), _) => whole.into(),
                    (None, Some(number)) => number.into(),
                    (None, None) => other.to_string().into(),
                },
            };
            into.push((path, scalar));
        }
    }
    let mut values = Vec::new();
    collect("", parsed, &mut values);
    values
}
