//! The functions that Erlang nodes are asked to call; none of them changes anything.

use protocol::facts::{Call, ErlangQuery, Term};
use types::HostName;

use super::broker::Broker;
use crate::settings::{NodeName, Settings};

/// The calls that tell a node's state. The constants below are their places, and those of the calls that follow.
const STATE: [(&str, &str); 11] = [
    ("rabbit", "is_running"),
    ("rabbit_mnesia", "status"),
    ("rabbit_vhost", "list_names"),
    ("rabbit_policy", "list"),
    ("rabbit_auth_backend_internal", "list_users"),
    ("rabbit_amqqueue", "list_names"),
    ("rabbit_alarm", "get_alarms"),
    ("rabbit_misc", "version"),
    UNSYNCHRONISED_MIRRORS,
    // What `rabbit_mnesia:status` became with Khepri (3.13 and later).
    ("rabbit_db_cluster", "cli_cluster_status"),
    ("rabbit_boot_state", "get"),
];
pub(super) const IS_RUNNING: usize = 0;
pub(super) const STATUS: usize = 1;
pub(super) const VHOSTS: usize = 2;
pub(super) const POLICIES: usize = 3;
pub(super) const USERS: usize = 4;
pub(super) const QUEUES: usize = 5;
pub(super) const ALARMS: usize = 6;
pub(super) const VERSION: usize = 7;
pub(super) const UNSYNCHRONISED: usize = 8;
pub(super) const NEW_STATUS: usize = 9;
pub(super) const BOOT_STATE: usize = 10;
pub(super) const QUEUE_TYPES: usize = 11;
pub(super) const DISABLED_FLAGS: usize = 12;
pub(super) const DRAINED: usize = 13;
pub(super) const PAUSE: usize = 14;
/// Of a member, where the inventory names users; a password for each of them follows.
pub(super) const PERMISSIONS: usize = 15;
pub(super) const PASSWORDS: usize = 16;
/// Of a host that may be a former member.
pub(super) const FORMER_QUEUES: usize = 15;

/// The call for mirrored queues that a node leads and that have no synchronised mirror.
pub(crate) const UNSYNCHRONISED_MIRRORS: (&str, &str) = (
    "rabbit_amqqueue",
    "list_local_mirrored_classic_without_synchronised_mirrors_for_cli",
);

/// Asks for the state of a host's node, and a former member's for its queues.
pub(crate) fn node(settings: &Settings, host: &HostName) -> ErlangQuery {
    let mut query = pause(settings, host);
    let state = STATE.map(plain).into_iter().chain(more_state(host));
    query.calls.splice(0..0, state);
    if !settings.hosts.contains(host) {
        // Our users' passwords are not its business any more.
        query.calls.extend(all_queues());
        return query;
    }
    if !settings.users.is_empty() {
        query
            .calls
            .push(plain(("rabbit_auth_backend_internal", "list_permissions")));
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

/// More of its state: the types of queues that virtual hosts default to, stable feature flags that are disabled, and whether
/// it is in maintenance mode.
fn more_state(host: &HostName) -> [Call; 3] {
    let keys = ["name", "default_queue_type"].map(Term::atom);
    let name = Term::atom(NodeName::of(host).as_str());
    let flags = ["disabled", "stable"].map(Term::atom);
    [
        call("rabbit_vhost", "info_all", [Term::List(keys.into())]),
        call("rabbit_feature_flags", "list", flags),
        call("rabbit_maintenance", "is_being_drained_local_read", [name]),
    ]
}

/// Asks for the queues of a virtual host.
pub(crate) fn queues_of_vhost(settings: &Settings, host: &HostName, vhost: &str) -> ErlangQuery {
    let vhost = Term::Str(vhost.to_owned());
    ask(
        settings,
        host,
        vec![call("rabbit_amqqueue", "list_names", [vhost])],
    )
}

/// Asks for the process by which a broker that paused waits; `undefined` where there is none.
pub(crate) fn pause(settings: &Settings, host: &HostName) -> ErlangQuery {
    let name = Term::atom("rabbit_outside_app_process");
    ask(settings, host, vec![call("erlang", "whereis", [name])])
}

/// Asks a host's node which queues would become unavailable without it: mirrored ones without a synchronised mirror elsewhere, and
/// quorum queues of which just a majority is up, itself included. With two members every quorum queue is such a one.
/// The second question is asked in the words of all versions, of which a broker knows one.
pub(crate) fn critical_queues(settings: &Settings, host: &HostName, has_mirrors: bool) -> ErlangQuery {
    critical(settings, host, has_mirrors, &QUORUM_CRITICAL)
}

/// The same of a broker whose version is known.
pub(crate) fn critical_queues_of(settings: &Settings, host: &HostName, broker: &Broker) -> ErlangQuery {
    let [old, new] = QUORUM_CRITICAL;
    let quorum = if broker.is_before((3, 11, 4)) { old } else { new };
    critical(settings, host, broker.has_mirrors(), &[quorum])
}

/// The call for quorum queues of which just a majority is up: it moved in 3.11.4.
const QUORUM_CRITICAL: [(&str, &str); 2] = [
    ("rabbit_quorum_queue", "list_with_minimum_quorum_for_cli"),
    ("rabbit_upgrade_preparation", "list_with_minimum_quorum_for_cli"),
];

fn critical(
    settings: &Settings,
    host: &HostName,
    has_mirrors: bool,
    quorum: &[(&'static str, &'static str)],
) -> ErlangQuery {
    let mirrored = has_mirrors.then_some(UNSYNCHRONISED_MIRRORS);
    let quorum = quorum.iter().filter(|_| settings.hosts.len() != 2).copied();
    ask(
        settings,
        host,
        mirrored.into_iter().chain(quorum).map(plain).collect(),
    )
}

/// Asks a host's node for the records of all quorum queues.
pub(crate) fn quorum_queues(settings: &Settings, host: &HostName) -> ErlangQuery {
    ask(settings, host, vec![list_by_type("quorum")])
}

/// Asks a host's node for all queues.
pub(crate) fn queues(settings: &Settings, host: &HostName) -> ErlangQuery {
    ask(settings, host, all_queues().into())
}

/// The calls that tell all queues: the durable ones by type, and those that are up, with their mirrors.
fn all_queues() -> [Call; 4] {
    let [classic, quorum, stream] = ["classic", "quorum", "stream"].map(list_by_type);
    [classic, quorum, stream, plain(("rabbit_amqqueue", "list"))]
}

fn list_by_type(kind: &str) -> Call {
    call("rabbit_amqqueue", "list_by_type", [Term::atom(kind)])
}

/// Asks a host's node to make calls.
pub(crate) fn ask(settings: &Settings, host: &HostName, calls: Vec<Call>) -> ErlangQuery {
    ErlangQuery {
        node: NodeName::of(host).to_string(),
        cookie_file: settings.cookie_path(),
        ready: Some((Call::new("rabbit_boot_state", "get", []), Term::atom("ready"))),
        calls,
    }
}

/// A call without arguments.
pub(crate) fn plain((module, function): (&str, &str)) -> Call {
    call(module, function, [])
}

/// One call. While a broker boots, it is asked only what its virtual machine or its disk can answer: to ask for users or
/// queues then may initialise the registry of its feature flags beside its own boot, and both wait for each other for
/// good (seen with 3.10.8: `rabbit_feature_flags:do_purge_old_registry`).
pub(crate) fn call(module: &str, function: &str, args: impl Into<Vec<Term>>) -> Call {
    let call = Call::new(module, function, args);
    match (module, function) {
        ("erlang" | "rabbit_mnesia" | "rabbit_boot_state", _)
        | ("rabbit", "is_running")
        | ("rabbit_misc", "version") => call,
        _ => call.when_ready(),
    }
}
