//! What the facts say of each node, in the cluster's own terms.
//!
//! A node is off, halted (the virtual machine runs without the broker, as between `stop_app` and `start_app`),
//! running with another cookie than its file's, or up. While it is off, only its disk tells whether it is a member.

use std::collections::BTreeSet;

use plan::{Facts, Unknown};
use protocol::facts::{Call, ErlangFact, ErlangQuery, FileQuery, PackageQuery, Term, UnitFact, UnitQuery};
use protocol::{FactQuery, Query};
use types::HostName;

use crate::observe::queues::Seen;
use crate::settings::{Permission, Settings};
use crate::steps::config;

/// A node's state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// It does not run. Its cluster's members as its disk tells them, itself among them; `None` where it never ran.
    Off(Option<BTreeSet<String>>),
    /// It runs with another cookie than the one in the file: it was not restarted since the file was written.
    OtherCookie,
    /// The virtual machine runs, the broker does not. The members as it knows them.
    Halted(BTreeSet<String>),
    /// It runs.
    Up(Box<Broker>),
}

/// What a running broker says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Broker {
    /// Its version, e.g. `3.10.8`.
    pub(crate) version: String,
    /// All members of its cluster, itself among them.
    pub(crate) members: BTreeSet<String>,
    /// Those of them that it sees running.
    pub(crate) running: BTreeSet<String>,
    /// Members that it was partitioned from.
    pub(crate) partitions: BTreeSet<String>,
    /// Alarms in force, e.g. `{resource_limit,disk,rabbit@db1}`.
    pub(crate) alarms: Vec<String>,
    pub(crate) vhosts: Vec<String>,
    pub(crate) policies: Vec<SeenPolicy>,
    /// Queues as `vhost` and `name`.
    pub(crate) queues: Vec<(String, String)>,
    pub(crate) users: Vec<String>,
    /// The tags of each user, sorted; in the order of `users`.
    pub(crate) tags: Vec<Vec<String>>,
    /// What users may do, where the inventory names users.
    pub(crate) permissions: Vec<SeenPermission>,
    /// For each user of the inventory, whether it has our password; `None` where that could not be asked.
    pub(crate) passwords: Vec<Option<bool>>,
    /// Mirrored queues led by this node that have no synchronised mirror.
    pub(crate) unsynchronised: Vec<String>,
}

impl Broker {
    /// What a node holds that a reset would destroy; `None` where it is empty.
    pub(crate) fn possession(&self) -> Option<String> {
        if let Some((vhost, queue)) = self.queues.first() {
            let more = match self.queues.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            return Some(format!("the queue {queue:?} in the virtual host {vhost:?}{more}"));
        }
        if let Some(vhost) = self.vhosts.iter().find(|vhost| *vhost != "/") {
            return Some(format!("the virtual host {vhost:?}"));
        }
        if let Some(user) = self.users.iter().find(|user| *user != "guest") {
            return Some(format!("the user {user:?}"));
        }
        self.policies.first().map(|policy| {
            format!(
                "the policy {:?} in the virtual host {:?}",
                policy.name, policy.vhost
            )
        })
    }

    /// Whether classic queues can have mirrors: until 4.0.
    pub(crate) fn has_mirrors(&self) -> bool {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        major.is_none_or(|major| major < 4)
    }
}

/// A policy as the cluster has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenPolicy {
    pub(crate) vhost: String,
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) definition: serde_json::Map<String, serde_json::Value>,
    pub(crate) priority: i64,
    pub(crate) apply_to: String,
}

/// What a user may do, as the cluster has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenPermission {
    pub(crate) user: String,
    pub(crate) permission: Permission,
}

/// The cookie's file, with its text.
pub(crate) fn cookie_query(settings: &Settings) -> FileQuery {
    FileQuery::text(settings.cookie_path())
        .knowing([&settings.cookie])
        .masking(&["^(.*)$"])
}

fn members_query(settings: &Settings, host: &HostName) -> FileQuery {
    FileQuery::text(settings.members_path(host))
}

/// The calls that tell a broker's state; [`broker`] reads their results in this order.
const CALLS: [(&str, &str); 10] = [
    ("rabbit", "is_running"),
    ("rabbit_mnesia", "status"),
    ("rabbit_vhost", "list_names"),
    ("rabbit_policy", "list"),
    ("rabbit_auth_backend_internal", "list_users"),
    ("rabbit_amqqueue", "list_names"),
    ("rabbit_alarm", "get_alarms"),
    ("rabbit_misc", "version"),
    (
        "rabbit_amqqueue",
        "list_local_mirrored_classic_without_synchronised_mirrors_for_cli",
    ),
    // What `rabbit_mnesia:status` became with Khepri (3.13 and later).
    ("rabbit_db_cluster", "cli_cluster_status"),
];

/// The place of mirrored queues without a synchronised mirror among [`CALLS`].
const UNSYNCHRONISED: usize = 8;

pub(crate) fn node_query(settings: &Settings, host: &HostName) -> ErlangQuery {
    let mut query = erlang_query(settings, host, &CALLS);
    query.calls.push(call(
        "erlang",
        "whereis",
        [Term::atom("rabbit_outside_app_process")],
    ));
    if !settings.hosts.contains(host) {
        // What leaves with a former member; our users' passwords are not its business any more.
        query.calls.extend(queues_calls());
        return query;
    }
    if !settings.users.is_empty() {
        query
            .calls
            .push(call("rabbit_auth_backend_internal", "list_permissions", []));
    }
    for user in &settings.users {
        // The broker hashes what it is given with its own salt; nobody sees a hash, and no login is counted.
        let password = Term::Tuple(vec![Term::atom("password"), Term::Secret(user.password.clone())]);
        let args = [Term::Str(user.name.clone()), Term::List(vec![password])];
        query.calls.push(call(
            "rabbit_auth_backend_internal",
            "user_login_authentication",
            args,
        ));
    }
    query
}

/// Asks for the process by which a broker that paused waits; `undefined` where there is none.
pub(crate) fn pause_query(settings: &Settings, host: &HostName) -> ErlangQuery {
    let mut query = erlang_query(settings, host, &[]);
    let name = Term::atom("rabbit_outside_app_process");
    query.calls.push(call("erlang", "whereis", [name]));
    query
}

/// One call. While a broker boots, it is asked only what its virtual machine or its disk can answer: to ask for users or queues
/// then may initialise the registry of its feature flags beside its own boot, and both wait for each other for good (seen
/// with 3.10.8: `rabbit_feature_flags:do_purge_old_registry`).
pub(crate) fn call(module: &str, function: &str, args: impl Into<Vec<Term>>) -> Call {
    let call = Call::new(module, function, args);
    match (module, function) {
        ("erlang" | "rabbit_mnesia", _) | ("rabbit", "is_running") | ("rabbit_misc", "version") => call,
        _ => call.when_ready(),
    }
}

/// Asks a host's node to call functions without arguments.
pub(crate) fn erlang_query(settings: &Settings, host: &HostName, calls: &[(&str, &str)]) -> ErlangQuery {
    ErlangQuery {
        node: Settings::node(host),
        cookie_file: settings.cookie_path(),
        ready: Some((Call::new("rabbit_boot_state", "get", []), Term::atom("ready"))),
        calls: calls
            .iter()
            .map(|(module, function)| call(module, function, []))
            .collect(),
    }
}

/// Asks a host's node which queues would go away with it: mirrored ones without a synchronised mirror elsewhere, and
/// quorum queues of which just a majority is up, itself included. With two members every quorum queue is such a one.
pub(crate) fn critical_query(settings: &Settings, host: &HostName, has_mirrors: bool) -> ErlangQuery {
    let mirrored = has_mirrors.then_some(CALLS[UNSYNCHRONISED]);
    let quorum = ("rabbit_quorum_queue", "list_with_minimum_quorum_for_cli");
    let quorum = (settings.hosts.len() != 2).then_some(quorum);
    let calls: Vec<_> = mirrored.into_iter().chain(quorum).collect();
    erlang_query(settings, host, &calls)
}

/// The queues that would go away with a host, as its node tells.
pub(crate) fn critical(
    settings: &Settings,
    host: &HostName,
    has_mirrors: bool,
    facts: &Facts,
) -> Result<Vec<String>, String> {
    let fact = facts.get(host, &critical_query(settings, host, has_mirrors));
    match fact.map_err(|unknown| unknown.to_string())? {
        ErlangFact::Results(results) => {
            let mut queues = Vec::new();
            for result in results {
                queues.extend(named(Some(
                    result.as_ref().map_err(|why| format!("{host}: {why}"))?,
                )));
            }
            Ok(queues)
        }
        ErlangFact::Down(why) | ErlangFact::Denied(why) => Err(format!("{host}: {why}")),
    }
}

/// Asks a host's node for the records of all quorum queues.
pub(crate) fn quorum_query(settings: &Settings, host: &HostName) -> ErlangQuery {
    let mut query = erlang_query(settings, host, &[]);
    query.calls.push(list_by_type("quorum"));
    query
}

fn list_by_type(kind: &str) -> Call {
    call("rabbit_amqqueue", "list_by_type", [Term::atom(kind)])
}

/// The calls that tell all queues: the durable ones by type, and those that are up, with their mirrors.
pub(crate) fn queues_calls() -> impl ExactSizeIterator<Item = Call> {
    let live = call("rabbit_amqqueue", "list", []);
    [
        list_by_type("classic"),
        list_by_type("quorum"),
        list_by_type("stream"),
        live,
    ]
    .into_iter()
}

/// Asks a host's node for all queues.
pub(crate) fn queues_query(settings: &Settings, host: &HostName) -> ErlangQuery {
    let mut query = erlang_query(settings, host, &[]);
    query.calls.extend(queues_calls());
    query
}

/// The quorum queues of the cluster, as a host's node tells them.
pub(crate) fn quorum_queues(
    settings: &Settings,
    host: &HostName,
    facts: &Facts,
) -> Result<Vec<Seen>, String> {
    let fact = facts.get(host, &quorum_query(settings, host));
    match fact.map_err(|unknown| unknown.to_string())? {
        ErlangFact::Results(results) => match results.first() {
            Some(Ok(records)) => Ok(Seen::all(records)),
            Some(Err(why)) => Err(format!("{host}: {why}")),
            None => Err(format!("{host} told no queues")),
        },
        ErlangFact::Down(why) | ErlangFact::Denied(why) => Err(format!("{host}: {why}")),
    }
}

/// The cookie's file of a host that is no member any more: whether it is the members' is told by the hash of each.
pub(crate) fn former_cookie_query(settings: &Settings) -> FileQuery {
    FileQuery::meta(settings.cookie_path())
}

pub(crate) fn queries(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    if !settings.hosts.contains(host) {
        return vec![
            UnitQuery::new(&settings.unit).wrap(),
            former_cookie_query(settings).wrap(),
            members_query(settings, host).wrap(),
            node_query(settings, host).wrap(),
        ];
    }
    let mut queries = vec![
        PackageQuery {
            name: settings.package.clone(),
        }
        .wrap(),
        UnitQuery::new(&settings.unit).wrap(),
        cookie_query(settings).wrap(),
        members_query(settings, host).wrap(),
        node_query(settings, host).wrap(),
    ];
    queries.extend(config::query(settings).map(|query| query.wrap()));
    queries.extend(
        settings
            .grow_quorum_queues
            .then(|| quorum_query(settings, host).wrap()),
    );
    queries
}

/// The unit of a host.
pub(crate) fn unit<'f>(
    settings: &Settings,
    host: &HostName,
    facts: &'f Facts,
) -> Result<&'f UnitFact, Unknown> {
    facts.get(host, &UnitQuery::new(&settings.unit))
}

/// The state of a host's node.
pub(crate) fn node(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Node, Unknown> {
    Ok(match facts.get(host, &node_query(settings, host))? {
        ErlangFact::Denied(_) => Node::OtherCookie,
        ErlangFact::Down(_) => {
            let text = facts.get(host, &members_query(settings, host))?.text();
            Node::Off(text.map(|text| members_on_disk(text.as_str())))
        }
        ErlangFact::Results(results) => {
            let broker = broker(results);
            let is_running = matches!(results.first(), Some(Ok(term)) if term.as_str() == Some("true"));
            if is_running {
                Node::Up(Box::new(broker))
            } else {
                Node::Halted(broker.members)
            }
        }
    })
}

/// Whether a broker stopped itself, because it sees no more than half of the members (`pause_minority`), and waits to see
/// more: a process of that name does (`rabbit_node_monitor`). Who started it by hand would make a second cluster of it.
pub(crate) fn is_paused(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let Ok(ErlangFact::Results(results)) = facts.get(host, &node_query(settings, host)) else {
        return false;
    };
    let is_running = matches!(results.first(), Some(Ok(term)) if term.as_str() == Some("true"));
    !is_running && matches!(results.get(CALLS.len()), Some(Ok(Term::Other(_))))
}

/// The members as a host's disk tells them; empty where it never ran.
pub(crate) fn disk_members(
    settings: &Settings,
    host: &HostName,
    facts: &Facts,
) -> Result<BTreeSet<String>, Unknown> {
    let text = facts.get(host, &members_query(settings, host))?.text();
    Ok(text
        .map(|text| members_on_disk(text.as_str()))
        .unwrap_or_default())
}

/// The members named in `cluster_nodes.config`: `{[rabbit@db1,rabbit@db2],[rabbit@db1]}.`, where a name that is no
/// plain atom is quoted. The first list is of all members, the second of those that keep data on disk.
fn members_on_disk(text: &str) -> BTreeSet<String> {
    let names = text
        .split([',', '[', ']', '{', '}', '.', '\'', '\n', ' '])
        .filter(|word| word.contains('@'));
    names.map(str::to_owned).collect()
}

fn broker(results: &[Result<Term, String>]) -> Broker {
    let answer = |at: usize| results.get(at).and_then(|result| result.as_ref().ok());
    let strings = |at: usize| answer(at).map(|term| texts(term.items())).unwrap_or_default();
    let status = answer(9).or(answer(1));
    let part = |key: &str| status.and_then(|status| status.get(key));
    let mut members = BTreeSet::new();
    for sort in part("nodes").map(Term::items).unwrap_or_default() {
        // {disc, [rabbit@db1, ...]}
        members.extend(
            sort.items()
                .get(1)
                .map(|nodes| texts(nodes.items()))
                .unwrap_or_default(),
        );
    }
    let partitions = part("partitions").map(Term::items).unwrap_or_default();
    Broker {
        version: answer(7).and_then(Term::as_str).unwrap_or_default().to_owned(),
        members,
        running: part("running_nodes")
            .map(|nodes| texts(nodes.items()).into_iter().collect())
            .unwrap_or_default(),
        // [{rabbit@db1, [rabbit@db2]}]: who was cut off from whom, as this node saw it.
        partitions: partitions
            .iter()
            .flat_map(|pair| texts(pair.items().last().map(Term::items).unwrap_or_default()))
            .collect(),
        alarms: answer(6)
            .map(|alarms| alarms.items().iter().map(show).collect())
            .unwrap_or_default(),
        vhosts: strings(2),
        policies: answer(3)
            .map(|list| list.items().iter().filter_map(seen_policy).collect())
            .unwrap_or_default(),
        queues: answer(5)
            .map(|list| list.items().iter().filter_map(queue).collect())
            .unwrap_or_default(),
        users: answer(4)
            .map(|list| {
                list.items()
                    .iter()
                    .filter_map(|user| Some(user.get("user")?.as_str()?.to_owned()))
                    .collect()
            })
            .unwrap_or_default(),
        tags: answer(4)
            .map(|list| {
                list.items()
                    .iter()
                    .filter(|user| user.get("user").is_some())
                    .map(tags)
                    .collect()
            })
            .unwrap_or_default(),
        permissions: answer(CALLS.len() + 1)
            .map(|list| list.items().iter().filter_map(seen_permission).collect())
            .unwrap_or_default(),
        passwords: results.iter().skip(CALLS.len() + 2).map(has_password).collect(),
        unsynchronised: named(answer(UNSYNCHRONISED)),
    }
}

/// Queues as the functions for the command line tell them: maps or property lists with a readable name.
fn named(queues: Option<&Term>) -> Vec<String> {
    let items = queues.map(Term::items).unwrap_or_default().iter();
    let name = |item: &Term| {
        item.get("readable_name")
            .and_then(Term::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    items.map(name).collect()
}

fn texts(terms: &[Term]) -> Vec<String> {
    terms
        .iter()
        .filter_map(|term| term.as_str().map(str::to_owned))
        .collect()
}

/// `{resource, <<"/">>, queue, <<"orders">>}`
fn queue(term: &Term) -> Option<(String, String)> {
    match term.items() {
        [_, vhost, _, name] => Some((vhost.as_str()?.to_owned(), name.as_str()?.to_owned())),
        _ => None,
    }
}

fn tags(user: &Term) -> Vec<String> {
    let mut tags = texts(user.get("tags").map(Term::items).unwrap_or_default());
    tags.sort_unstable();
    tags
}

fn seen_permission(term: &Term) -> Option<SeenPermission> {
    let text = |key: &str| {
        term.get(key)
            .and_then(Term::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(SeenPermission {
        user: term.get("user")?.as_str()?.to_owned(),
        permission: Permission {
            vhost: term.get("vhost")?.as_str()?.to_owned(),
            configure: text("configure"),
            write: text("write"),
            read: text("read"),
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

fn seen_policy(term: &Term) -> Option<SeenPolicy> {
    let text = |key: &str| term.get(key).and_then(Term::as_str).map(str::to_owned);
    let definition = match json(term.get("definition")?) {
        serde_json::Value::Object(map) => map,
        // An empty definition looks like an empty list.
        _ => serde_json::Map::new(),
    };
    Some(SeenPolicy {
        vhost: text("vhost")?,
        name: text("name")?,
        pattern: text("pattern")?,
        definition,
        priority: match term.get("priority") {
            Some(Term::Int(number)) => *number,
            _ => 0,
        },
        apply_to: text("apply-to").unwrap_or_else(|| "all".to_owned()),
    })
}

/// A policy's definition as JSON: a property list or map is an object.
fn json(term: &Term) -> serde_json::Value {
    use serde_json::Value;
    let object = |pairs: Vec<(&Term, &Term)>| {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), json(value)));
        Value::Object(entries.collect())
    };
    match term {
        Term::Atom(word) if word == "true" => Value::Bool(true),
        Term::Atom(word) if word == "false" => Value::Bool(false),
        Term::Int(number) => Value::from(*number),
        Term::List(items)
            if !items.is_empty()
                && items
                    .iter()
                    .all(|item| matches!(item, Term::Tuple(pair) if pair.len() == 2)) =>
        {
            object(
                items
                    .iter()
                    .map(|pair| (&pair.items()[0], &pair.items()[1]))
                    .collect(),
            )
        }
        Term::Map(pairs) => object(pairs.iter().map(|(key, value)| (key, value)).collect()),
        Term::List(items) => Value::Array(items.iter().map(json).collect()),
        other => Value::from(other.as_str().unwrap_or_default()),
    }
}

/// A term as Erlang would print it, near enough for a message.
fn show(term: &Term) -> String {
    let all = |items: &[Term]| items.iter().map(show).collect::<Vec<_>>().join(",");
    match term {
        Term::Atom(text) | Term::Str(text) | Term::Float(text) | Term::Other(text) => text.clone(),
        Term::Int(number) => number.to_string(),
        Term::List(items) => format!("[{}]", all(items)),
        Term::Tuple(items) => format!("{{{}}}", all(items)),
        Term::Map(_) => "#{...}".to_owned(),
        Term::Secret(id) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_the_disk_whether_quoted_or_not() {
        let text = "{[rabbit@db1,'rabbit@db-2'],[rabbit@db1]}.\n";
        assert_eq!(
            members_on_disk(text),
            BTreeSet::from(["rabbit@db1".to_owned(), "rabbit@db-2".to_owned()])
        );
    }
}
