//! Preconditions: what the agent asks a node again right before it is stopped or reset.

use protocol::facts::{Call, ErlangFact, ErlangQuery, Term};
use protocol::{Fact, Precondition, Query};
use types::HostName;

use crate::observe::{Broker, calls, is_before};
use crate::settings::{NodeName, Settings};

/// The node is alone and as a node is that was never used.
pub(crate) fn is_unused(settings: &Settings, host: &HostName, version: &str) -> Precondition {
    let str = |text: &str| Term::Str(text.to_owned());
    let pair = |key: &str, value: Term| Term::Tuple(vec![Term::atom(key), value]);
    let guest = Term::List(vec![
        pair("user", str("guest")),
        pair("tags", Term::List(vec![Term::atom("administrator")])),
    ]);
    let expected = [
        (("rabbit_amqqueue", "list_names"), Vec::new()),
        (("rabbit_vhost", "list_names"), vec![str("/")]),
        (("rabbit_policy", "list"), Vec::new()),
        (("rabbit_auth_backend_internal", "list_users"), vec![guest]),
    ];
    let (functions, mut results): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
    results.push(vec![own_name(host)]);
    let calls = functions.into_iter().map(calls::plain).chain([members(version)]);
    answers(
        format!("{host} is alone and holds no queue, virtual host, user or policy of its own"),
        &calls::ask(settings, host, calls.collect()),
        results.into_iter().map(Term::List),
    )
}

/// The node is in no cluster: one that has joined is not reset, whatever was consented to.
pub(crate) fn is_alone(settings: &Settings, host: &HostName, version: &str) -> Precondition {
    answers(
        format!("{host} is in no cluster"),
        &calls::ask(settings, host, vec![members(version)]),
        [Term::List(vec![own_name(host)])],
    )
}

/// The member leads no mirrored queue that only it has, and no quorum queue counts on it.
pub(crate) fn is_bare(settings: &Settings, host: &HostName, broker: &Broker) -> Precondition {
    let mirrored = broker.has_mirrors().then_some(calls::UNSYNCHRONISED_MIRRORS);
    let quorum = ("rabbit_amqqueue", "list_local_quorum_queue_names");
    let calls = mirrored.into_iter().chain([quorum]).map(calls::plain);
    nothing(
        format!("no quorum queue is on {host}, and no mirrored queue is there alone"),
        &calls::ask(settings, host, calls.collect()),
    )
}

/// No queue would lose its quorum or its last synchronised mirror.
pub(crate) fn is_dispensable(settings: &Settings, host: &HostName, broker: &Broker) -> Precondition {
    nothing(
        format!("no queue would lose its quorum or its last synchronised mirror without {host}"),
        &calls::critical_queues_of(settings, host, broker),
    )
}

/// No client has made a queue in the virtual host.
pub(crate) fn has_no_queue(settings: &Settings, host: &HostName, vhost: &str) -> Precondition {
    nothing(
        format!("the virtual host {vhost:?} has no queue"),
        &calls::queues_of_vhost(settings, host, vhost),
    )
}

/// The broker is halted, and not because it paused.
pub(crate) fn is_not_paused(settings: &Settings, host: &HostName) -> Precondition {
    answers(
        format!("the broker of {host} did not pause"),
        &calls::pause(settings, host),
        [Term::atom("undefined")],
    )
}

/// The call for the members of a node's cluster. `rabbit_mnesia:cluster_nodes` fails with Khepri (seen with 4.0.5), and is
/// gone in 4.3.
fn members(version: &str) -> Call {
    if is_before(version, (3, 13, 0)) {
        calls::call("rabbit_mnesia", "cluster_nodes", [Term::atom("all")])
    } else {
        calls::plain(("rabbit_db_cluster", "members"))
    }
}

fn own_name(host: &HostName) -> Term {
    Term::atom(NodeName::of(host).as_str())
}

/// Every call of a query returns an empty list.
fn nothing(what: String, query: &ErlangQuery) -> Precondition {
    let nothing: Vec<Term> = query.calls.iter().map(|_| Term::List(Vec::new())).collect();
    answers(what, query, nothing)
}

fn answers(what: String, query: &ErlangQuery, results: impl IntoIterator<Item = Term>) -> Precondition {
    Precondition {
        what,
        query: query.wrap(),
        fact: Fact::Erlang(ErlangFact::Results(results.into_iter().map(Ok).collect())),
    }
}
