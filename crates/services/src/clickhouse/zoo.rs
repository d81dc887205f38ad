//! ZooKeeper's own files: zoo.cfg, and the environment of Debian's init script.
//!
//! zoo.cfg is edited key by key, so that comments and what the operator tuned survive
//! (<https://zookeeper.apache.org/doc/r3.8.0/zookeeperAdmin.html#sc_configuration>).

use types::HostName;

use super::ids::{Ids, Seen};
use super::settings::ZooKeeper;
use crate::common::lines;

/// The words that we ask with. `srvr` alone is allowed by default.
pub(super) const WORDS: [&str; 4] = ["conf", "mntr", "ruok", "srvr"];
const WHITELIST: &str = "4lw.commands.whitelist";

/// A line's key and value, where it has one.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    if line.starts_with(['#', '!']) {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// The value of a key; of several lines the last one holds.
pub(super) fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut entries = text.lines().filter_map(entry);
    entries.rfind(|(found, _)| *found == key).map(|(_, value)| value)
}

/// The members that a zoo.cfg (or the word `conf`) names, with their numbers.
pub(super) fn servers(text: &str) -> Vec<(u32, String)> {
    let servers = text.lines().filter_map(entry).filter_map(|(key, value)| {
        let id = key.strip_prefix("server.")?.parse().ok()?;
        let host = value.split(':').next()?;
        Some((id, host.to_owned()))
    });
    servers.collect()
}

/// What a host's files say of numbers.
pub(super) fn seen(config: Option<&str>, myid: Option<&str>) -> Seen {
    let servers = config.map(servers).unwrap_or_default();
    let own = myid.and_then(|text| text.trim().parse().ok());
    Seen {
        // Debian's package brings a myid with a sentence in it; a number without members means that they are to come.
        own: own.filter(|_| servers.is_empty()),
        servers,
        mark: config.and_then(Ids::read_mark),
    }
}

/// The server lines as they should be.
pub(super) fn server_lines(settings: &ZooKeeper, ids: &Ids) -> Vec<(String, String)> {
    let line = |host: &HostName| {
        let id = ids.of(host)?;
        let (peer, election) = (settings.peer_port, settings.election_port);
        Some((format!("server.{id}"), format!("{host}:{peer}:{election}")))
    };
    settings.members.iter().filter_map(line).collect()
}

/// The zoo.cfg as it should be, made of the one that is there.
pub(super) fn config(settings: &ZooKeeper, ids: &Ids, found: &str) -> String {
    let mut wanted: Vec<(String, String)> = vec![
        ("dataDir".to_owned(), settings.data_dir.clone()),
        ("clientPort".to_owned(), settings.port.to_string()),
    ];
    // A quorum does not start without these; where they are set they are somebody's decision.
    for (key, default) in [("tickTime", "2000"), ("initLimit", "10"), ("syncLimit", "5")] {
        let is_named = settings.options.iter().any(|(named, _)| named == key);
        if value(found, key).is_none() && !is_named {
            wanted.push((key.to_owned(), default.to_owned()));
        }
    }
    wanted.extend(settings.options.iter().cloned());
    if let Some(list) = whitelist(value(found, WHITELIST)) {
        wanted.push((WHITELIST.to_owned(), list));
    }
    wanted.extend(server_lines(settings, ids));
    edit(found, &wanted, ids.spent())
}

/// The whitelist that allows what is there and our words; `None` where it does already.
fn whitelist(found: Option<&str>) -> Option<String> {
    let mut words: Vec<&str> = found
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    if words.contains(&"*") || WORDS.iter().all(|word| words.contains(word)) {
        return None;
    }
    for word in WORDS {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    Some(words.join(","))
}

pub(super) fn edit(found: &str, wanted: &[(String, String)], spent: Option<u32>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for line in lines(found) {
        if Ids::read_mark(line).is_some() {
            continue;
        }
        let Some((key, value)) = entry(line) else {
            out.push(line.to_owned());
            continue;
        };
        match wanted.iter().find(|(wanted, _)| wanted == key) {
            // A second line of the same key would only hide the first.
            Some((key, _)) if written.contains(&key.as_str()) => {}
            Some((key, want)) => {
                written.push(key);
                let same = is_same_value(key, value, want);
                out.push(if same {
                    line.to_owned()
                } else {
                    format!("{key}={want}")
                });
            }
            None if key.starts_with("server.") => {}
            None => out.push(line.to_owned()),
        }
    }
    for (key, value) in wanted.iter().filter(|(key, _)| !written.contains(&key.as_str())) {
        out.push(format!("{key}={value}"));
    }
    if let Some(highest) = spent {
        out.push(format!("# {}", Ids::mark(highest)));
    }
    out.join("\n") + "\n"
}

/// Whether two values mean the same: a server's line may spell out that it is a participant, and its client port.
pub(super) fn is_same_value(key: &str, one: &str, other: &str) -> bool {
    let plain = |value: &str| {
        let value = value.split(';').next().unwrap_or_default();
        value.trim_end_matches(":participant").trim().to_owned()
    };
    one == other || (key.starts_with("server.") && plain(one) == plain(other))
}

/// The environment with another heap; as it is where it has that one.
pub(super) fn environment(found: &str, heap: &str) -> String {
    let options = format!("JAVA_OPTS=\"-Xms{heap} -Xmx{heap}\"");
    let is_options = |line: &str| line.trim_start().starts_with("JAVA_OPTS=");
    if found
        .lines()
        .any(|line| is_options(line) && line.contains(&format!("-Xmx{heap}")))
    {
        return found.to_owned();
    }
    let mut lines: Vec<String> = found
        .lines()
        .map(|line| {
            if is_options(line) {
                options.clone()
            } else {
                line.to_owned()
            }
        })
        .collect();
    if !found.lines().any(is_options) {
        lines.push(options);
    }
    lines.join("\n") + "\n"
}
