//! The step `replicas`: replicas that a rebuilt member has left behind in the quorum.
//!
//! A replicated table is registered there under its replica's name. A member that lost its disk finds its own name taken
//! when the table is made again (error 253, `REPLICA_ALREADY_EXISTS`). Only a replica that is inactive is dropped, only with
//! consent, and the server itself refuses to drop an active one.

use std::collections::BTreeMap;

use plan::{Level, Refusal};
use types::HostName;

use crate::observe::server::replies::{Live, Replica};
use crate::observe::view::View;
use crate::rules::server::config_xml::version;
use crate::rules::server::drop_replica::Registered;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// The consent to drop what is registered of a member's replicas.
pub(super) const CONSENT: &str = "clickhouse.drop-replica";

/// A table's replica on a server that holds it.
struct Holder<'v> {
    host: &'v HostName,
    live: &'v Live,
    replica: &'v Replica,
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let servers: BTreeMap<&HostName, &Live> = view
        .answering()
        .map(|(member, live)| (member.host, live))
        .collect();
    // A server that does not answer may hold anything.
    if servers.len() < settings.hosts.len() || servers.values().any(|live| live.replicas.is_err()) {
        return plan;
    }
    let mut tables: BTreeMap<&(String, String), Vec<Holder<'_>>> = BTreeMap::new();
    for (host, live) in servers {
        for replica in live.replicas.iter().flatten() {
            let holder = Holder { host, live, replica };
            tables.entry(&replica.table).or_default().push(holder);
        }
    }
    for holders in tables.values() {
        forget(settings, holders, cx, &mut plan);
    }
    plan
}

/// Drops the replicas of a table that are registered for members that do not have it, and tells of others.
fn forget(settings: &Settings, holders: &[Holder<'_>], cx: &Cx<'_>, plan: &mut StepPlan) {
    let Some(first) = holders.first() else { return };
    let replica = first.replica;
    // Some are registered that do not exist.
    if replica.total <= holders.len() || replica.active >= replica.total {
        return;
    }
    let registered = first.live.registered(replica).unwrap_or_default();
    let holds = |host: &HostName| holders.iter().any(|holder| holder.host == host);
    let hosts = settings.hosts.iter();
    let lost: Vec<&HostName> = hosts
        .filter(|host| !holds(host) && registered.contains(host.as_str()))
        .collect();
    if lost.is_empty() {
        let mut gone = registered;
        gone.retain(|name| !holders.iter().any(|holder| holder.replica.name == *name));
        let gone: Vec<&str> = gone.into_iter().collect();
        plan.note(Level::Warning, None, missing(first, &gone));
    }
    for host in lost {
        drop(first, host, cx, plan);
    }
}

/// The note on replicas that are registered in the quorum and exist on no member.
fn missing(first: &Holder<'_>, gone: &[&str]) -> String {
    let Replica {
        total, active, path, ..
    } = first.replica;
    let name = first.replica.full_name();
    let has = format!("{name} has {total} replicas, and {active} are there");
    if version(&first.live.version).is_none_or(|version| version < (20, 5)) {
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

/// Drops the replica of a host that lost its table.
fn drop(first: &Holder<'_>, host: &HostName, cx: &Cx<'_>, plan: &mut StepPlan) {
    let replica = first.replica;
    let name = replica.full_name();
    if !cx.is_allowed(CONSENT, host) {
        let why = format!(
            "{name} is registered with {} replicas and {host} does not have it: making it there again would fail with \
             REPLICA_ALREADY_EXISTS",
            replica.total
        );
        let path = format!("{}/replicas/{host}", replica.path);
        let resolve =
            format!("allow that {path} is dropped: the table is made on {host} then, and copies the data");
        let refusal = Refusal::new(format!("{host} does not get {name} back"), why, resolve);
        plan.refusals.push(refusal.on(host).unless_allowed(CONSENT, host));
        return;
    }
    let registered = Registered {
        on: first.host,
        live: first.live,
        replica,
        name: host.as_str(),
    };
    let task = registered.task(
        format!("drop the replica {host} of {name}"),
        format!("{host} lost it, and this was consented to"),
        (replica.total, replica.active),
        format!("{name} still has a replica that is not active"),
    );
    plan.tasks.push(task.part(format!("{host}.{name}")));
}
