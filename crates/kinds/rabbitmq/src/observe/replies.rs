//! Replies of nodes and files, decoded.

use std::collections::BTreeSet;

use protocol::facts::Term;

use super::broker::{Broker, SeenPermission, SeenPolicy, SeenUser, Told, is_before};
use super::calls;
use super::terms::{json, show, text, texts};
use crate::settings::{NodeName, Permission};

/// The results of the calls of one query.
pub(super) type Results = [Result<Term, String>];

/// The calls that tell what a broker has.
const POSSESSIONS: [usize; 4] = [calls::VHOSTS, calls::POLICIES, calls::USERS, calls::QUEUES];

/// The members named in `cluster_nodes.config`: `{[rabbit@db1,rabbit@db2],[rabbit@db1]}.`, where a name that is no
/// plain atom is quoted. The first list is of all members, the second of those that keep data on disk.
pub(super) fn members_on_disk(text: &str) -> BTreeSet<NodeName> {
    let names = text
        .split([',', '[', ']', '{', '}', '.', '\'', '\n', ' '])
        .filter(|word| word.contains('@'));
    names.map(NodeName::told).collect()
}

/// Whether a list of feature flags has Khepri's: `[classic_queue_mirroring,khepri_db].`
pub(super) fn is_khepri_enabled(flags: &str) -> bool {
    let mut words = flags.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.any(|word| word == "khepri_db")
}

/// The state of a node's broker that does not change by itself.
pub(super) enum State {
    Running,
    /// It was stopped, or stopped itself; the virtual machine runs.
    Stopped,
}

/// The state of a node's broker; the error says that it is starting or ending, or does not tell. Before 3.8.?
/// `rabbit_boot_state` is not there.
pub(super) fn state(results: &Results) -> Result<State, String> {
    match results.get(calls::IS_RUNNING) {
        Some(Ok(term)) if term.as_str() == Some("true") => return Ok(State::Running),
        Some(Ok(_)) => {}
        Some(Err(why)) => return Err(format!("it does not tell whether its broker runs: {why}")),
        None => return Err("it does not tell whether its broker runs".to_owned()),
    }
    match results.get(calls::BOOT_STATE) {
        Some(Ok(term)) if term.as_str() != Some("stopped") => Err(format!("its broker is {}", show(term))),
        _ => Ok(State::Stopped),
    }
}

/// The members as a node tells them whose broker is stopped. Mnesia tells them then, and where Khepri has taken its place
/// (3.13 and later) it names the node alone.
pub(super) fn members_of_stopped(broker: &Broker) -> Told {
    if broker.members.len() > 1 || !broker.may_have_khepri() {
        return Ok(broker.members.clone());
    }
    Err("its broker is stopped, and tells the members of its cluster when it runs".to_owned())
}

/// The status of a node's cluster. Before 3.13, and of a broker that is stopped, Mnesia tells it; else its answer does not
/// stand in for the other, for a node with Khepri calls itself alone there (`rabbit_mnesia:cluster_status`, 3.13 to 4.2).
fn status<'r>(results: &'r Results, version: &str) -> Option<&'r Result<Term, String>> {
    let is_running = matches!(state(results), Ok(State::Running));
    let at = if is_running && !is_before(version, (3, 13, 0)) {
        calls::NEW_STATUS
    } else {
        calls::STATUS
    };
    results.get(at)
}

/// Why a node does not tell the members of its cluster.
pub(super) fn why_untold(results: &Results, version: &str) -> String {
    match status(results, version) {
        Some(Err(why)) => why.clone(),
        _ => "they are not in its answer".to_owned(),
    }
}

/// Whether a process waits for the broker of a node to see more members (`rabbit_node_monitor`).
pub(super) fn is_paused(results: &Results) -> bool {
    matches!(results.get(calls::PAUSE), Some(Ok(Term::Other(_))))
}

/// A broker as its node tells it.
pub(super) fn broker(results: &Results) -> Broker {
    let answer = |at: usize| results.get(at).and_then(|result| result.as_ref().ok());
    let items = |at: usize| answer(at).map(Term::items).unwrap_or_default().iter();
    let version = answer(calls::VERSION).and_then(Term::as_str).unwrap_or_default();
    let status = status(results, version).and_then(|result| result.as_ref().ok());
    let part = |key: &str| status.and_then(|status| status.get(key));
    let parts = |key: &str| part(key).map(Term::items).unwrap_or_default().iter();
    Broker {
        version: version.to_owned(),
        // [{disc, [rabbit@db1, ...]}, ...]
        members: parts("nodes")
            .flat_map(|sort| names(sort.items().get(1)))
            .collect(),
        running: names(part("running_nodes")).collect(),
        // [{rabbit@db1, [rabbit@db2]}]: each node that saw a partition, and those that it was cut off from.
        partitions: parts("partitions")
            .flat_map(|pair| names(pair.items().last()))
            .collect(),
        alarms: items(calls::ALARMS).map(show).collect(),
        vhosts: texts(answer(calls::VHOSTS)),
        policies: items(calls::POLICIES).filter_map(policy).collect(),
        queues: items(calls::QUEUES).filter_map(queue).collect(),
        users: items(calls::USERS).filter_map(user).collect(),
        untold: POSSESSIONS
            .iter()
            .find_map(|&at| results.get(at)?.as_ref().err())
            .cloned(),
        permissions: items(calls::PERMISSIONS).filter_map(permission).collect(),
        passwords: results.iter().skip(calls::PASSWORDS).map(has_password).collect(),
        queue_types: items(calls::QUEUE_TYPES)
            .filter_map(|vhost| Some((text(vhost, "name")?, text(vhost, "default_queue_type")?)))
            .collect(),
        disabled_flags: keys(answer(calls::DISABLED_FLAGS)),
        is_drained: answer(calls::DRAINED).and_then(Term::as_str) == Some("true"),
        unsynchronised: readable_names(answer(calls::UNSYNCHRONISED)),
    }
}

/// Queues as the functions for the command line tell them: maps or property lists with a readable name.
pub(super) fn readable_names(queues: Option<&Term>) -> Vec<String> {
    let items = queues.map(Term::items).unwrap_or_default().iter();
    items
        .map(|item| text(item, "readable_name").unwrap_or_else(|| "?".to_owned()))
        .collect()
}

/// The keys of a map, sorted.
fn keys(map: Option<&Term>) -> Vec<String> {
    let Some(Term::Map(pairs)) = map else {
        return Vec::new();
    };
    let keys = pairs.iter().filter_map(|(key, _)| key.as_str());
    let mut keys: Vec<String> = keys.map(str::to_owned).collect();
    keys.sort_unstable();
    keys
}

fn names(list: Option<&Term>) -> impl Iterator<Item = NodeName> {
    texts(list).into_iter().map(|name| NodeName::told(&name))
}

/// `{resource, <<"/">>, queue, <<"orders">>}`
fn queue(term: &Term) -> Option<(String, String)> {
    match term.items() {
        [_, vhost, _, name] => Some((vhost.as_str()?.to_owned(), name.as_str()?.to_owned())),
        _ => None,
    }
}

fn user(term: &Term) -> Option<SeenUser> {
    let mut tags = texts(term.get("tags"));
    tags.sort_unstable();
    let name = text(term, "user")?;
    Some(SeenUser { name, tags })
}

fn permission(term: &Term) -> Option<SeenPermission> {
    let pattern = |key: &str| text(term, key).unwrap_or_default();
    Some(SeenPermission {
        user: text(term, "user")?,
        permission: Permission {
            vhost: text(term, "vhost")?,
            configure: pattern("configure"),
            write: pattern("write"),
            read: pattern("read"),
        },
    })
}

/// `{ok, ...}` or `{refused, ...}`.
fn has_password(result: &Result<Term, String>) -> Option<bool> {
    match result.as_ref().ok()?.items().first()?.as_str()? {
        "ok" => Some(true),
        "refused" => Some(false),
        _ => None,
    }
}

fn policy(term: &Term) -> Option<SeenPolicy> {
    let definition = match json(term.get("definition")?) {
        serde_json::Value::Object(map) => map,
        // An empty definition looks like an empty list.
        _ => serde_json::Map::new(),
    };
    Some(SeenPolicy {
        vhost: text(term, "vhost")?,
        name: text(term, "name")?,
        pattern: text(term, "pattern")?,
        definition,
        priority: match term.get("priority") {
            Some(Term::Int(number)) => *number,
            _ => 0,
        },
        apply_to: text(term, "apply-to").unwrap_or_else(|| "all".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_the_disk_whether_quoted_or_not() {
        let text = "{[rabbit@db1,'rabbit@db-2'],[rabbit@db1]}.\n";
        let names = ["rabbit@db1", "rabbit@db-2"].map(NodeName::told);
        assert_eq!(members_on_disk(text), BTreeSet::from(names));
    }
}
