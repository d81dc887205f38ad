//! Replies, and what of them has a meaning.

use serde_json::Value;

pub(super) fn recorded(reply: &Value) -> Vec<String> {
    let items = reply.as_array().unwrap().iter();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// A reply without what has no meaning.
pub(super) fn meaning(reply: &[String]) -> Vec<String> {
    let mut items = reply.to_vec();
    let is_info = items.get(1).is_some_and(|item| item == "ssdb-server");
    if !is_info {
        return items;
    }
    let mut clients = Vec::new();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let item = std::mem::take(&mut items[at]);
        let value = items.get(at + 1).cloned().unwrap_or_default();
        match item.as_str() {
            "links" | "total_calls" | "dbsize" => {
                kept.extend([item, value.parse::<u64>().map_or(value, |_| "N".to_owned())]);
                at += 2;
            }
            "replication" if value.starts_with("client ") => {
                let (_, rest) = value.split_once('\n').unwrap();
                clients.push(rest.to_owned());
                at += 2;
            }
            "leveldb.stats" => {
                let head: Vec<&str> = value.lines().take(3).collect();
                kept.extend([item, head.join("\n")]);
                at += 2;
            }
            _ => {
                kept.push(item);
                at += 1;
            }
        }
    }
    clients.sort_unstable();
    kept.extend(clients);
    kept
}

/// What follows the banner, which is the stand-in's own.
pub(super) fn last_lines(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| !line.is_empty());
    let is_banner = |line: &&str| {
        line.starts_with("ssdb-server 1.9.8")
            || line.starts_with("Copyright")
            || line.starts_with("(a stand-in")
    };
    lines.filter(|line| !is_banner(line)).map(str::to_owned).collect()
}
