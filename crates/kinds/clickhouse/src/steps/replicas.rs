//! The step `replicas`: what a member that was rebuilt has left behind in the quorum.
//!
//! A replicated table is registered there under its replica's name. A member that lost its disk finds its own name taken
//! when the table is made again (error 253, `REPLICA_ALREADY_EXISTS`). Only a replica that is inactive is dropped, only with
//! consent, and the server itself refuses to drop an active one.

use std::collections::BTreeMap;

use plan::{Consent, Level, Preview, Refusal};
use protocol::facts::{HttpEndpoint, HttpFact, HttpQuery, HttpRequest};
use protocol::{Action, Fact, Operation, Precondition, Query, Text};
use types::HostName;

use crate::observe::queries;
use crate::observe::server::{self as view, Live, Replica};
use crate::settings::Settings;
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// The consent to drop what is registered of a member's replicas.
const CONSENT: &str = "clickhouse.drop-replica";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let mut servers: BTreeMap<&HostName, Live> = BTreeMap::new();
    for host in &settings.hosts {
        if let Some(live) = view::talk(settings, host, cx.facts).up() {
            servers.insert(host, live.clone());
        }
    }
    // Whoever does not answer may hold anything.
    if servers.len() < settings.hosts.len() || servers.values().any(|live| live.replicas.is_err()) {
        return plan;
    }
    let holders = holders(&servers);
    for (table, hosts) in &holders {
        let Some((holder, replica)) = hosts.first() else {
            continue;
        };
        let lacking: Vec<&HostName> = settings
            .hosts
            .iter()
            .filter(|host| !hosts.iter().any(|(other, _)| other == host))
            .collect();
        // Somebody is registered who is not there.
        if replica.total <= hosts.len() || replica.active >= replica.total {
            continue;
        }
        let name = format!("{}.{}", table.0, table.1);
        let registered = view::registered(&servers[holder].at, holder, replica, cx.facts);
        let lacking: Vec<&HostName> = lacking
            .into_iter()
            .filter(|host| {
                registered
                    .as_ref()
                    .is_some_and(|names| names.contains(host.as_str()))
            })
            .collect();
        match lacking.as_slice() {
            [] => {
                let known = |name: &&String| !hosts.iter().any(|(_, replica)| replica.name == **name);
                let gone: Vec<&str> = registered
                    .iter()
                    .flatten()
                    .filter(known)
                    .map(String::as_str)
                    .collect();
                plan.note(
                    Level::Warning,
                    None,
                    missing(&name, replica, &gone, &servers[holder].version),
                );
            }
            lacking => {
                for host in lacking {
                    let lost = Lost {
                        host,
                        holder,
                        live: &servers[holder],
                        replica,
                    };
                    drop(&lost, cx, &mut plan);
                }
            }
        }
    }
    plan
}

/// What is told of replicas that are on the quorum's books and on no member.
fn missing(name: &str, replica: &Replica, gone: &[&str], version: &str) -> String {
    let (total, active, path) = (replica.total, replica.active, &replica.path);
    let has = format!("{name} has {total} replicas, and {active} are there");
    if view::version(version).is_none_or(|version| version < (20, 5)) {
        return format!(
            "{has}: zkCli.sh (deleteall) forgets one of a host that is gone, or was rebuilt, under {path}/replicas"
        );
    }
    let which = if gone.is_empty() {
        String::new()
    } else {
        format!(" (not {})", gone.join(", "))
    };
    format!("{has}{which}: SYSTEM DROP REPLICA forgets one of a host that is gone")
}

type Holders<'s> = BTreeMap<(String, String), Vec<(&'s HostName, Replica)>>;

fn holders<'s>(servers: &BTreeMap<&'s HostName, Live>) -> Holders<'s> {
    let mut holders: Holders<'s> = BTreeMap::new();
    for (host, live) in servers {
        for replica in live.replicas.iter().flatten() {
            holders
                .entry(replica.table.clone())
                .or_default()
                .push((*host, replica.clone()));
        }
    }
    holders
}

/// A table's replica on a host that lost it, as one of the others sees it.
struct Lost<'a> {
    host: &'a HostName,
    holder: &'a HostName,
    live: &'a Live,
    replica: &'a Replica,
}

fn drop(lost: &Lost<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let Lost {
        host,
        holder,
        live,
        replica,
    } = lost;
    let (database, table) = &replica.table;
    let name = format!("{database}.{table}");
    let why = format!(
        "{name} is registered with {} replicas and {host} does not have it: making it there again would fail with \
         REPLICA_ALREADY_EXISTS",
        replica.total
    );
    let what = format!("{host} does not get {name} back");
    let refuse = |way_out: String, consent: Option<Consent>| Refusal {
        service: None,
        host: Some((*host).clone()),
        what: what.clone(),
        why: why.clone(),
        way_out,
        consent,
    };
    let path = format!("{}/replicas/{host}", replica.path);
    if !cx.is_allowed(CONSENT, host) {
        let consent = Consent {
            action: CONSENT.to_owned(),
            host: (*host).clone(),
        };
        let way_out =
            format!("allow that {path} is dropped, then make the table on {host}: it copies the data");
        plan.refusals.push(refuse(way_out, Some(consent)));
        return;
    }
    let what = format!("{name} still has a replica that is not active");
    let (sql, action) = drop_replica(live, replica, host.as_str(), replica.active, what);
    let title = format!("drop the replica {host} of {name}");
    let reason = format!("{host} lost it, and this was consented to");
    plan.tasks.push(
        Task::new(holder, title, reason, action)
            .part(format!("{host}.{name}"))
            .preview(Preview::Commands(vec![sql])),
    );
}

/// Drops what is registered of a table's replica, as the statement and the action: only while so many of its replicas are
/// active, which is `what`.
pub(crate) fn drop_replica(
    live: &Live,
    replica: &Replica,
    name: &str,
    active: usize,
    what: String,
) -> (String, Action) {
    let sql = format!(
        "SYSTEM DROP REPLICA '{}' FROM ZKPATH '{}'",
        quote(name),
        quote(&replica.path)
    );
    let only_if = Precondition {
        what,
        query: count(&live.at, &replica.table).wrap(),
        fact: Fact::Http(HttpFact::Reply {
            status: 200,
            body: Text::new(format!("{}\t{active}\n", replica.total)),
        }),
    };
    let action = Action {
        only_if: vec![only_if],
        operation: Operation::Http {
            at: live.at.clone(),
            requests: vec![HttpRequest::post("/", sql.as_str())],
        },
        limit_ms: QUICK,
    };
    (sql, action)
}

/// How many replicas a table has, and how many of them are active.
pub(crate) fn count(at: &HttpEndpoint, (database, table): &(String, String)) -> HttpQuery {
    queries::select(
        at,
        &format!(
            "SELECT total_replicas, active_replicas FROM system.replicas WHERE database = '{}' AND table = '{}' \
             FORMAT TabSeparated",
            quote(database),
            quote(table)
        ),
    )
}

pub(crate) fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
