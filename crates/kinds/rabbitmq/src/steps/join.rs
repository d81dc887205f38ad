//! Joining: one cluster out of nodes that are alone.
//!
//! Which node is the seed is decided from facts: the members that already form the cluster, else the first host of
//! the inventory. A node that joins loses everything it has, so it joins only if it has nothing, and the agent asks
//! it again right before the reset.

use std::collections::BTreeSet;

use plan::{Consent, Preview, Refusal, Unknown};
use protocol::facts::{ErlangFact, Term};
use protocol::{Action, Command, Fact, Operation, Precondition, Query};
use types::HostName;

use crate::checks;
use crate::observe::view::{self, Broker, Node};
use crate::settings::Settings;
use crate::steps::cookie::is_clustered;
use kit::UNIT;
use kit::{Cx, StepPlan, Task};

/// The consent to lose what a node has.
const CONSENT: &str = "rabbitmq.reset";

/// The calls whose results prove that a node is alone and empty.
const PROOF: [(&str, &str); 4] = [
    ("rabbit_amqqueue", "list_names"),
    ("rabbit_vhost", "list_names"),
    ("rabbit_policy", "list"),
    ("rabbit_auth_backend_internal", "list_users"),
];

/// Where a host's node belongs.
enum Place {
    /// To the cluster of the inventory.
    Member,
    /// Nowhere, and it has nothing; `None` where only its start will tell.
    Alone(Option<Box<Broker>>),
    /// To a cluster with none of the inventory's other hosts.
    Foreign(BTreeSet<String>),
}

pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let mut places = Vec::new();
    for host in cx.hosts {
        match place(settings, host, cx) {
            Ok(place) => places.push((host, place)),
            Err(unknown) => plan.unplanned.push((host.clone(), unknown.to_string())),
        }
    }
    let Some(seed) = seed(settings, &places, cx, &mut plan) else {
        return plan;
    };
    for (host, place) in &places {
        match place {
            Place::Alone(broker) if *host != seed => {
                join(settings, host, seed, broker.as_deref(), cx, &mut plan);
            }
            Place::Foreign(members) => plan.refusals.push(foreign(host, members)),
            _ => {}
        }
    }
    plan
}

fn place(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Place, Unknown> {
    let members = match view::node(settings, host, cx.facts)? {
        Node::Up(broker) if broker.members.len() <= 1 => return Ok(Place::Alone(Some(broker))),
        Node::Up(broker) => broker.members,
        Node::Halted(members) | Node::Off(Some(members)) => members,
        Node::Off(None) => return Ok(Place::Alone(None)),
        Node::OtherCookie => view::disk_members(settings, host, cx.facts)?,
    };
    if members.len() <= 1 {
        return Ok(Place::Alone(None));
    }
    let own = Settings::node(host);
    let has = |hosts: &[HostName]| {
        let mut nodes = hosts.iter().map(Settings::node);
        nodes.any(|node| node != own && members.contains(&node))
    };
    // The last of its cluster's members that the inventory still lists.
    let is_last = || has(&settings.others) && !any_two_are_clustered(settings, cx);
    Ok(if has(&settings.hosts) || is_last() {
        Place::Member
    } else {
        Place::Foreign(members)
    })
}

/// Whether two hosts of the service are members of one cluster.
fn any_two_are_clustered(settings: &Settings, cx: &Cx<'_>) -> bool {
    let ours: BTreeSet<String> = settings.hosts.iter().map(Settings::node).collect();
    settings.hosts.iter().any(|host| {
        let members = match view::node(settings, host, cx.facts) {
            Ok(Node::Up(broker)) => broker.members,
            Ok(Node::Halted(members) | Node::Off(Some(members))) => members,
            Ok(Node::Off(None) | Node::OtherCookie) | Err(_) => return false,
        };
        members.intersection(&ours).count() > 1
    })
}

/// The member that the others join; `None` where nobody may, which is reported.
fn seed<'h>(
    settings: &'h Settings,
    places: &[(&'h HostName, Place)],
    cx: &Cx<'_>,
    plan: &mut StepPlan,
) -> Option<&'h HostName> {
    let members: Vec<&HostName> = places
        .iter()
        .filter(|(_, place)| matches!(place, Place::Member))
        .map(|(host, _)| *host)
        .collect();
    let is_up = |host: &HostName| matches!(view::node(settings, host, cx.facts), Ok(Node::Up(_)));
    if let Some(seed) = members
        .iter()
        .copied()
        .find(|host| is_up(host))
        .or(members.first().copied())
    {
        return Some(seed);
    }
    let first = settings.hosts.first()?;
    let is_alone = places
        .iter()
        .any(|(host, place)| *host == first && matches!(place, Place::Alone(_)));
    if is_alone {
        return Some(first);
    }
    if places.len() > 1 {
        plan.unplanned.push((
            first.clone(),
            "the others join it, and its state is not known".to_owned(),
        ));
    }
    None
}

fn join(
    settings: &Settings,
    host: &HostName,
    seed: &HostName,
    broker: Option<&Broker>,
    cx: &Cx<'_>,
    plan: &mut StepPlan,
) {
    let allowed = cx.is_allowed(CONSENT, host);
    if let Some(what) = broker.and_then(Broker::possession)
        && !allowed
    {
        plan.refusals.push(Refusal {
            service: None,
            host: Some(host.clone()),
            what: format!("{host} does not join the cluster of {}", Settings::node(seed)),
            why: format!("joining resets it, and it holds {what}"),
            way_out: if is_clustered(settings, seed, cx) {
                "move what it holds elsewhere, or allow the loss".to_owned()
            } else {
                format!(
                    "move what it holds, or list {host} first so that the others join it, or allow the loss"
                )
            },
            consent: Some(Consent {
                action: CONSENT.to_owned(),
                host: host.clone(),
            }),
        });
        return;
    }
    forget_rebuilt(settings, host, seed, cx, plan);
    let commands = [
        vec!["stop_app".to_owned()],
        vec!["reset".to_owned()],
        vec!["join_cluster".to_owned(), Settings::node(seed)],
        vec!["start_app".to_owned()],
    ];
    let commands: Vec<Vec<String>> = commands
        .into_iter()
        .map(|words| [vec!["rabbitmqctl".to_owned(), "-q".to_owned()], words].concat())
        .collect();
    let preview = Preview::Commands(commands.iter().map(|words| words.join(" ")).collect());
    let only_if = if allowed {
        vec![alone(settings, host)]
    } else {
        vec![proof(settings, host)]
    };
    let operation = Operation::Run {
        commands: commands.into_iter().map(Command::new).collect(),
    };
    let reason = if allowed {
        "it is not in the cluster; what it holds is lost, with consent"
    } else {
        "it is not in the cluster"
    };
    let action = Action {
        only_if,
        operation,
        limit_ms: UNIT,
    };
    let gate = checks::gate(
        settings,
        checks::JOINED,
        host,
        format!("{host} runs in the cluster and sees its members"),
    );
    let whole = checks::gate(
        settings,
        checks::WHOLE,
        seed,
        format!("{seed} sees all members that stay"),
    );
    plan.tasks.push(
        Task::new(host, format!("join {}", Settings::node(seed)), reason, action)
            .preview(preview)
            .before(whole)
            .gate(gate),
    );
}

/// The precondition of a reset: the node is alone and as a node is that was never used.
fn proof(settings: &Settings, host: &HostName) -> Precondition {
    let str = |text: &str| Term::Str(text.to_owned());
    let pair = |key: &str, value: Term| Term::Tuple(vec![Term::atom(key), value]);
    let guest = Term::List(vec![
        pair("user", str("guest")),
        pair("tags", Term::List(vec![Term::atom("administrator")])),
    ]);
    let mut query = view::erlang_query(settings, host, &PROOF);
    query
        .calls
        .push(view::call("rabbit_mnesia", "cluster_nodes", [Term::atom("all")]));
    let results = [
        Term::List(Vec::new()),
        Term::List(vec![str("/")]),
        Term::List(Vec::new()),
        Term::List(vec![guest]),
        Term::List(vec![Term::atom(Settings::node(host))]),
    ];
    Precondition {
        what: format!("{host} is alone and holds no queue, virtual host, user or policy of its own"),
        query: query.wrap(),
        fact: Fact::Erlang(ErlangFact::Results(results.into_iter().map(Ok).collect())),
    }
}

/// The precondition of a reset with consent to lose what the node holds: it is in no cluster. One that has joined is not
/// taken out again.
fn alone(settings: &Settings, host: &HostName) -> Precondition {
    let mut query = view::erlang_query(settings, host, &[]);
    query
        .calls
        .push(view::call("rabbit_mnesia", "cluster_nodes", [Term::atom("all")]));
    let own = Term::List(vec![Term::atom(Settings::node(host))]);
    Precondition {
        what: format!("{host} is in no cluster"),
        query: query.wrap(),
        fact: Fact::Erlang(ErlangFact::Results(vec![Ok(own)])),
    }
}

/// Lets the cluster forget a member that was rebuilt: the cluster counts it as a member, and it knows nothing of that.
fn forget_rebuilt(settings: &Settings, host: &HostName, seed: &HostName, cx: &Cx<'_>, plan: &mut StepPlan) {
    let node = Settings::node(host);
    let Ok(Node::Up(cluster)) = view::node(settings, seed, cx.facts) else {
        return;
    };
    if !cluster.members.contains(&node) || cluster.running.contains(&node) {
        return;
    }
    let words = ["rabbitmqctl", "-q", "forget_cluster_node", &node];
    let operation = Operation::Run {
        commands: vec![Command::new(words)],
    };
    let reason = format!(
        "{host} was rebuilt: it is alone and holds nothing, and the cluster still counts it as a member"
    );
    let task = Task::new(
        seed,
        format!("forget {node}"),
        reason,
        Action {
            only_if: Vec::new(),
            operation,
            limit_ms: UNIT,
        },
    );
    plan.tasks.push(
        task.part(format!("forget-{host}"))
            .preview(Preview::Commands(vec![words.join(" ")])),
    );
}

fn foreign(host: &HostName, members: &BTreeSet<String>) -> Refusal {
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} does not join the cluster"),
        why: format!("it is a member of another one: {}", members.join(", ")),
        way_out: format!(
            "list that cluster's hosts in the inventory, or take {host} out of it by hand: rabbitmqctl stop_app, \
             rabbitmqctl reset, rabbitmqctl start_app"
        ),
        consent: None,
    }
}
