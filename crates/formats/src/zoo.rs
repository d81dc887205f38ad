//! ZooKeeper's own files: zoo.cfg, and the environment of Debian's init script.
//!
//! zoo.cfg is edited key by key, so that comments and what the operator tuned survive
//! (<https://zookeeper.apache.org/doc/r3.8.0/zookeeperAdmin.html#sc_configuration>).

use crate::{lines, mark};

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
pub fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut entries = text.lines().filter_map(entry);
    entries.rfind(|(found, _)| *found == key).map(|(_, value)| value)
}

/// The members that a zoo.cfg (or the word `conf`) names, with their numbers.
pub fn servers(text: &str) -> Vec<(u32, String)> {
    let servers = text.lines().filter_map(entry).filter_map(|(key, value)| {
        let id = key.strip_prefix("server.")?.parse().ok()?;
        let host = value.split(':').next()?;
        Some((id, host.to_owned()))
    });
    servers.collect()
}

/// A file in which the wanted keys have these values, no other members are named, and the highest number that was ever
/// given is remembered.
pub fn edit(found: &str, wanted: &[(String, String)], spent: Option<u32>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    for line in lines(found) {
        if mark::read(line).is_some() {
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
        out.push(format!("# {}", mark::comment(highest)));
    }
    out.join("\n") + "\n"
}

/// Whether two values mean the same: a server's line may spell out that it is a participant, and its client port.
pub fn is_same_value(key: &str, one: &str, other: &str) -> bool {
    let plain = |value: &str| {
        let value = value.split(';').next().unwrap_or_default();
        value.trim_end_matches(":participant").trim().to_owned()
    };
    one == other || (key.starts_with("server.") && plain(one) == plain(other))
}

/// The environment with another heap; as it is where it has that one.
pub fn environment(found: &str, heap: &str) -> String {
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
