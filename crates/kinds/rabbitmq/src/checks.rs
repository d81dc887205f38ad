//! Whether a member, and the cluster, is as it should be: gates, budget and status.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plan::{Facts, Gate, Health, MemberStatus, ServiceStatus, Unknown, Verdict};
use protocol::{FactQuery, Query};
use types::HostName;

use crate::observe::view::{self, Broker, Node};
use crate::rules::departing;
use crate::settings::Settings;
use crate::steps::grow;
use crate::steps::restart;

/// The member's broker runs.
pub(crate) const RUNNING: &str = "running";
/// The member runs in the cluster, sees its members, and nothing is wrong.
pub(crate) const JOINED: &str = "joined";

/// The cluster that a newcomer joins has all of its members that stay: each newcomer raises the number that a majority
/// takes, and with one of three away it would be out of reach of those that run (`pause_minority` counts members).
pub(crate) const WHOLE: &str = "whole";
/// No queue would go away with the member.
pub(crate) const DISPENSABLE: &str = "dispensable";
/// The member is back: it is as one that joined, and no queue would go away with any of the others.
pub(crate) const BACK: &str = "back";
/// Ends the name of such a check where queues can have no mirrors.
const NO_MIRRORS: &str = "-without-mirrors";

/// How long mirrors may take to be filled.
const SYNCHRONISED: u64 = 3_600_000;

/// How long a broker may take to start: after a full stop each member waits ten times 30 s for its peers.
const LIMIT: u64 = 600_000;

/// A gate on one member. It watches that member alone: what it sees of the others is part of what it says.
pub(crate) fn gate(settings: &Settings, check: &str, host: &HostName, title: String) -> Gate {
    let queries: Vec<FactQuery> = view::queries(settings, host)
        .into_iter()
        // The package does not change while a broker starts.
        .filter(|query| !matches!(query, FactQuery::Package(_)))
        .collect();
    debug_assert!(queries.contains(&view::node_query(settings, host).wrap()));
    Gate {
        service: Some(settings.name.clone()),
        check: check.to_owned(),
        host: Some(host.clone()),
        title,
        watch: BTreeMap::from([(host.clone(), queries)]),
        limit_ms: LIMIT,
    }
}

/// A gate that asks every member which queues would go away with it.
pub(crate) fn cluster_gate(
    settings: &Settings,
    check: &str,
    host: &HostName,
    title: String,
    has_mirrors: bool,
) -> Gate {
    let mut gate = gate(settings, check, host, title);
    let watched = settings
        .hosts
        .iter()
        .filter(|other| check == BACK || *other == host);
    for other in watched {
        let query = view::critical_query(settings, other, has_mirrors).wrap();
        gate.watch.entry(other.clone()).or_default().push(query);
    }
    if !has_mirrors {
        gate.check.push_str(NO_MIRRORS);
    }
    gate.limit_ms = SYNCHRONISED;
    gate
}

pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let Some(host) = host else {
        return Verdict::Fail(format!("the check {check} is about a host"));
    };
    let verdict = grow::judge(settings, check, host, facts);
    if let Some(verdict) = verdict.or_else(|| departing::judge(settings, check, host, facts)) {
        return verdict;
    }
    let broker = match view::node(settings, host, facts) {
        Ok(Node::Up(broker)) => broker,
        Ok(other) => return Verdict::Wait(describe(&other)),
        Err(unknown) => return Verdict::Wait(unknown.to_string()),
    };
    let (check, has_mirrors) = match check.strip_suffix(NO_MIRRORS) {
        Some(check) => (check, false),
        None => (check, true),
    };
    let critical = |host: &HostName| match view::critical(settings, host, has_mirrors, facts) {
        Ok(queues) if queues.is_empty() => None,
        Ok(queues) => Some(format!("would go away with {host}: {}", queues.join(", "))),
        Err(why) => Some(why),
    };
    // Who leaves is not waited for.
    let counts = |node: &String| settings.lists(node);
    let wrong = match check {
        RUNNING => None,
        WHOLE => unseen(&broker, counts),
        DISPENSABLE => critical(host).map(|why| {
            format!(
                "{why} (give them more members, or --allow {}={host})",
                restart::CONSENT
            )
        }),
        _ => trouble(&broker, counts)
            .or_else(|| (broker.members.len() < 2).then(|| "it is alone".to_owned()))
            .or_else(|| settings.hosts.iter().filter(|_| check == BACK).find_map(critical)),
    };
    wrong.map_or(Verdict::Pass, Verdict::Wait)
}

fn describe(node: &Node) -> String {
    match node {
        Node::Off(_) => "it does not run",
        Node::OtherCookie => "it runs with another cookie than its file's",
        Node::Halted(_) => "the node runs without its broker",
        Node::Up(_) => "it runs",
    }
    .to_owned()
}

/// Members that count and that a running member does not see.
fn unseen(broker: &Broker, counts: impl Fn(&String) -> bool) -> Option<String> {
    let missing = broker.members.difference(&broker.running);
    let missing: Vec<&str> = missing.filter(|node| counts(node)).map(String::as_str).collect();
    (!missing.is_empty()).then(|| format!("does not see {}", missing.join(", ")))
}

/// What is wrong with a running member, and with those of the others that count; `None` where nothing is.
fn trouble(broker: &Broker, counts: impl Fn(&String) -> bool) -> Option<String> {
    if !broker.partitions.is_empty() {
        let list: Vec<&str> = broker.partitions.iter().map(String::as_str).collect();
        return Some(format!("partitioned from {}", list.join(", ")));
    }
    if let Some(unseen) = unseen(broker, counts) {
        return Some(unseen);
    }
    if !broker.alarms.is_empty() {
        return Some(format!("alarm {}", broker.alarms.join(", ")));
    }
    if !broker.unsynchronised.is_empty() {
        return Some(format!(
            "without a synchronised mirror: {}",
            broker.unsynchronised.join(", ")
        ));
    }
    None
}

/// The members that do not serve: their broker does not run, or the others do not see it.
///
/// A host that is not in the cluster yet is no member, and nobody relies on it; where no cluster is seen, any host may be
/// one.
pub(crate) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let node = |host: &HostName| view::node(settings, host, facts);
    let brokers: Vec<Broker> = settings
        .hosts
        .iter()
        .filter_map(|host| match node(host) {
            Ok(Node::Up(broker)) if broker.members.len() > 1 => Some(*broker),
            _ => None,
        })
        .collect();
    let serves = |host: &&HostName| {
        let name = Settings::node(host);
        if brokers.is_empty() {
            return matches!(node(host), Ok(Node::Up(_)));
        }
        let mut members = brokers.iter().filter(|broker| broker.members.contains(&name));
        let is_member = members.clone().next().is_some();
        let is_up = matches!(node(host), Ok(Node::Up(broker)) if broker.members.len() > 1);
        !is_member || is_up && members.all(|broker| broker.running.contains(&name))
    };
    settings
        .hosts
        .iter()
        .filter(|host| !serves(host))
        .cloned()
        .collect()
}

pub(crate) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let mut largest = Broker::default();
    // What each running member sees running: a cluster is what all of them see.
    let mut seen: Vec<BTreeSet<String>> = Vec::new();
    let mut members = Vec::new();
    for host in &settings.hosts {
        let node = view::node(settings, host, facts);
        members.push(member(settings, host, node.as_ref(), facts));
        let Ok(Node::Up(broker)) = node else { continue };
        seen.push(broker.running.clone());
        if broker.members.len() > largest.members.len() {
            largest = *broker;
        }
    }
    let worst = members
        .iter()
        .map(|member| member.health)
        .max()
        .unwrap_or(Health::Unknown);
    let all = settings.hosts.len();
    let running = settings
        .hosts
        .iter()
        .filter(|host| seen.iter().all(|seen| seen.contains(&Settings::node(host))));
    let running = if seen.is_empty() { 0 } else { running.count() };
    let mut summary = format!("{running} of {all} running in one cluster");
    for policy in &settings.policies {
        let with = largest
            .policies
            .iter()
            .filter(|seen| seen.name == policy.name)
            .count();
        let all = largest.vhosts.len();
        // Writing to a string does not fail.
        let _ = write!(
            summary,
            ", policy {} in {with} of {all} virtual hosts",
            policy.name
        );
    }
    let health = if worst == Health::Healthy {
        Health::Healthy
    } else if running > 0 {
        Health::Degraded
    } else {
        worst
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "rabbitmq".to_owned(),
        health,
        summary,
        members,
    }
}

fn member(
    settings: &Settings,
    host: &HostName,
    node: Result<&Node, &Unknown>,
    facts: &Facts,
) -> MemberStatus {
    let (health, detail) = match &node {
        Ok(Node::Up(broker)) => match trouble(broker, |_| true) {
            Some(trouble) => (Health::Degraded, trouble),
            None if broker.members.len() < 2 && settings.hosts.len() > 1 => {
                (Health::Degraded, "it is alone".to_owned())
            }
            None => (
                Health::Healthy,
                format!("{}, {} queues", broker.version, broker.queues.len()),
            ),
        },
        Ok(other) => (Health::Down, describe(other)),
        Err(unknown) => (Health::Unknown, unknown.to_string()),
    };
    let started = view::unit(settings, host, facts)
        .ok()
        .filter(|unit| unit.is_active())
        .map(|unit| unit.started_us);
    MemberStatus {
        host: host.clone(),
        process: "rabbitmq".to_owned(),
        role: if matches!(node, Ok(Node::Up(_))) {
            "disc"
        } else {
            ""
        }
        .to_owned(),
        health,
        lag: String::new(),
        since_us: started.filter(|&started| started > 0),
        detail,
    }
}
