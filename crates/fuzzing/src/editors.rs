//! What an editor makes of a file, for the targets: the same edit is made twice, and its own reader looks at the result.

use formats::directives::{Directives, same_value};
use formats::engine::Engine;
use formats::main_json::{Want, has, is, merge, parse};
use formats::mongod_conf::{Change, Conf};
use formats::{rabbitmq_conf as conf, ssdb_conf, xml as reader, zoo};
use generic::Setting;
use serde_json::json;

/// What an editor makes of a file that it can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edited {
    /// The file with our settings.
    pub(crate) once: String,
    /// The same edit on the result. Where it differs, a plan is never empty.
    pub(crate) twice: Option<String>,
    /// Whether the editor's own reader finds our settings in the result.
    pub(crate) is_set: bool,
}

/// Directives that are set once, one that adds up, and one that is dropped.
pub(crate) fn directives(text: &str) -> Edited {
    let once = with_directives(text);
    let seen = Directives::parse(&once, Engine::Redis);
    let is_set = seen
        .last("maxmemory")
        .is_some_and(|value| same_value(value, "\"1gb\""))
        && same_value(&seen.all("save").join(" "), "3600 1 300 100")
        && seen.after(&["user", "old"]).is_empty();
    Edited {
        twice: Some(with_directives(&once)),
        once,
        is_set,
    }
}

fn with_directives(text: &str) -> String {
    let mut directives = Directives::parse(text, Engine::Redis);
    directives.set("maxmemory", "\"1gb\"");
    directives.set("replica-priority", "100");
    directives.set_all("save", &["3600 1".to_owned(), "300 100".to_owned()]);
    directives.drop(&["user", "old"]);
    directives.text()
}

/// Values of each sort are set, and one is removed. `None` where the file cannot be read, or edited safely.
pub(crate) fn mongod_conf(text: &str) -> Option<Edited> {
    let changes: Vec<Change> = vec![
        ("replication.replSetName".to_owned(), Some(json!("rs0"))),
        ("net.port".to_owned(), Some(json!(27017))),
        ("security.authorization".to_owned(), Some(json!("enabled"))),
        ("storage.journal.enabled".to_owned(), None),
    ];
    let once = Conf::parse(text).ok()?.edit(&changes).ok()?;
    let seen = Conf::parse(&once);
    let is_set = seen.as_ref().is_ok_and(|seen| {
        changes
            .iter()
            .all(|(path, value)| seen.get(path) == value.as_ref())
    });
    let twice = seen.ok().and_then(|seen| seen.edit(&changes).ok());
    Some(Edited { once, twice, is_set })
}

/// Keys are set and one is taken out, and read again.
pub(crate) fn rabbitmq_conf(text: &str) -> Edited {
    let wanted = [
        ("vm_memory_high_watermark.relative", "0.6"),
        ("queue_leader_locator", "balanced"),
    ];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let absent = ["channel_max".to_owned()];
    let once = conf::edited(text, &wanted, &absent);
    let mut settings = once.lines().filter_map(conf::setting);
    let is_left = settings.any(|(found, _)| absent.iter().any(|absent| absent == found));
    let is_set = wanted.iter().all(|(key, value)| {
        let settings = once.lines().filter_map(conf::setting);
        let mut of_key = settings.filter(|(found, _)| found == key);
        of_key.next_back().is_some_and(|(_, found)| found == value)
    });
    Edited {
        twice: Some(conf::edited(&once, &wanted, &absent)),
        once,
        is_set: is_set && !is_left,
    }
}

/// Values are set and read again. `None` where the server would not take the file.
pub(crate) fn ssdb_conf(text: &str) -> Option<Edited> {
    let once = with_settings(text)?;
    let seen = ssdb_conf::Conf::parse(&once).ok();
    let is_set = seen.is_some_and(|seen| {
        seen.get(&["server", "port"]) == Some("8888") && seen.get(&["replication", "binlog"]) == Some("yes")
    });
    Some(Edited {
        twice: with_settings(&once),
        once,
        is_set,
    })
}

fn with_settings(text: &str) -> Option<String> {
    let mut conf = ssdb_conf::Conf::parse(text).ok()?;
    for (path, value) in [(["server", "port"], "8888"), (["replication", "binlog"], "yes")] {
        if conf.get(&path) != Some(value) {
            conf.set(&path, value);
        }
    }
    Some(conf.text())
}

/// Whether a text is XML. Macros and the server's own config.xml are read by the same reader.
pub(crate) fn xml(text: &str) -> bool {
    let root = reader::parse(text);
    if let Ok(root) = &root {
        // What files are asked for.
        let _ = (
            root.child("macros"),
            root.text_at(&["macros", "replica"]),
            root.all("x").count(),
        );
    }
    root.is_ok() && reader::is_same(text, &format!("{text}\n"))
}

/// Keys of zoo.cfg are set, and the members are read again.
pub(crate) fn zoo_cfg(text: &str) -> Edited {
    let wanted = [
        ("tickTime", "2000"),
        ("server.1", "db1:2888:3888"),
        ("server.2", "db2:2888:3888"),
    ];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let once = zoo::edit(text, &wanted, Some(3));
    let mut members = zoo::servers(&once);
    members.sort();
    let is_set = members == [(1, "db1".to_owned()), (2, "db2".to_owned())]
        && zoo::value(&once, "tickTime") == Some("2000")
        && formats::mark::read(&once) == Some(3);
    Edited {
        twice: Some(zoo::edit(&once, &wanted, Some(3))),
        once,
        is_set,
    }
}

/// A value, an object, a list and a key that is not to be there are merged. `None` where the file cannot be edited.
pub(crate) fn main_json(text: &str) -> Option<Edited> {
    let place = |name: &str| vec![is("HOST", name), is("PORT", 4420)];
    let wants = vec![
        is("PROCESS", "proctask"),
        has("CLUSTER", vec![is("NAME", "altcraft"), is("MASTER", true)]),
        (
            "SSDB".to_owned(),
            Want::List("HOST", vec![place("db1"), place("db2")]),
        ),
        ("OLD".to_owned(), Want::Gone),
    ];
    let once = merge(text, &wants).ok()?;
    let seen = parse(&once).unwrap_or(json!(null));
    let is_set = wants.iter().all(|(key, want)| want.holds(seen.get(key)));
    Some(Edited {
        twice: merge(&once, &wants).ok(),
        once,
        is_set,
    })
}

/// A key is set in a section. `None` where it stands there more than once.
pub(crate) fn ini(text: &str) -> Option<Edited> {
    let setting = Setting::new(Some("mysqld"), "port", "3306", " = ");
    let edit = |text: &str| match setting.edit(text) {
        Ok(None) => Some(text.to_owned()),
        Ok(Some((edited, _))) => Some(edited),
        Err(_) => None,
    };
    let once = edit(text)?;
    Some(Edited {
        is_set: matches!(setting.edit(&once), Ok(None)),
        twice: edit(&once),
        once,
    })
}
