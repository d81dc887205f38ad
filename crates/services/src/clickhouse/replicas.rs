//! The step `replicas`: what a member that was rebuilt has left behind in the quorum.
//!
//! A replicated table is registered there under its replica's name. A member that lost its disk finds its own name taken
//! when the table is made again (error 253, `REPLICA_ALREADY_EXISTS`). Only a replica that is inactive is dropped, only with
//! consent, and the server itself refuses to drop an active one.

use std::collections::BTreeMap;

use plan::{Consent, Level, Preview, Refusal};
use protocol::facts::{HttpFact, HttpRequest};
use protocol::{Action, Fact, Operation, Precondition, Query, Text};
use types::HostName;

use super::queries;
use super::settings::Settings;
use super::view::{self, Live, Replica};
use crate::common::QUICK;
use crate::step::{Cx, StepPlan, Task};

/// The consent to drop what is registered of a member's replicas.
const CONSENT: &str = "clickhouse.drop-replica";

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
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
        match lacking.as_slice() {
            [] => {
                let text = format!(
                    "{name} has {} replicas, and {} are there: SYSTEM DROP REPLICA forgets one of a host that is gone",
                    replica.total, replica.active
                );
                plan.note(Level::Warning, None, text);
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
    // SYSTEM DROP REPLICA is there since 20.5.
    if view::version(&live.version).is_none_or(|version| version < (20, 5)) {
        let way_out = format!(
            "ClickHouse {} has no SYSTEM DROP REPLICA: delete {path} with zkCli.sh (deleteall), then make the table on {host}",
            live.version
        );
        plan.refusals.push(refuse(way_out, None));
        return;
    }
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
    let sql = format!(
        "SYSTEM DROP REPLICA '{host}' FROM ZKPATH '{}'",
        quote(&replica.path)
    );
    let proof = queries::select(
        &live.at,
        &format!(
            "SELECT total_replicas, active_replicas FROM system.replicas WHERE database = '{}' AND table = '{}' \
             FORMAT TabSeparated",
            quote(database),
            quote(table)
        ),
    );
    let answer = format!("{}\t{}\n", replica.total, replica.active);
    let only_if = Precondition {
        what: format!("{name} still has a replica that is not active"),
        query: proof.wrap(),
        fact: Fact::Http(HttpFact::Reply {
            status: 200,
            body: Text::new(answer),
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
    let title = format!("drop the replica {host} of {name}");
    let reason = format!("{host} lost it, and this was consented to");
    plan.tasks.push(
        Task::new(holder, title, reason, action)
            .part(format!("{host}.{name}"))
            .preview(Preview::Commands(vec![sql])),
    );
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
