//! The step `leave`: who is no member any more goes, when nobody is told of it any more.
//!
//! First the quorum does without it, where that had to wait for newcomers; one member after another learns of it, while
//! it still votes. Then, once a member that stays has all that it holds, its server is stopped and disabled, for it would
//! come back and replicate otherwise; then its ZooKeeper. At last what is registered of its replicas is dropped. Its
//! data stays where it is.

use plan::{Consent, Level, Preview, Refusal};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::checks as gates;
use crate::observe::server::{self as view, Live, Replica};
use crate::rules::coordination::interim_membership as stage;
use crate::rules::server::former::{self, Former};
use crate::settings::Settings;
use crate::steps::member_removal as rounds;
use crate::steps::replicas::drop_replica;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action};

/// The consent to stop a server although what it holds is not shown to be elsewhere.
const CONSENT: &str = "clickhouse.abandon";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    if stage::first(settings, cx.facts).is_some() {
        rounds::second(settings, cx, &mut plan);
    } else if settings.keeper().is_some() {
        // It may have been chosen again since the others have learned; a leader never lets itself go.
        let is_told = |task: &Task| {
            cx.earlier
                .iter()
                .any(|earlier| earlier.host == task.host && earlier.tells(&settings.unit, UnitVerb::Restart))
        };
        let mut again = rounds::hand_over(settings, cx).filter(|task| !is_told(task));
        plan.tasks
            .extend(again.take_if(|task| cx.others.contains(&task.host)));
    }
    for host in cx.others {
        if let Some(former) = former::on(settings, host, cx.facts) {
            let_go(settings, &former, cx, &mut plan);
        }
    }
    plan
}

fn let_go(settings: &Settings, former: &Former<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let host = former.host;
    if former.has_server {
        let is_up = view::unit(settings, host, cx.facts).is_ok_and(protocol::facts::UnitFact::is_active);
        let missing = former::only_there(settings, former, cx.facts).filter(|_| is_up);
        let is_allowed = cx.is_allowed(CONSENT, host);
        if let Some(why) = missing.clone().filter(|_| !is_allowed) {
            plan.refusals.push(refusal(host, why));
            return;
        }
        let text =
            "it is no member any more: its server is stopped and disabled, and its data stays where it is";
        plan.note(Level::Info, Some(host), text);
        let mut task = stop(host, &settings.unit, "server").gate(gates::left(settings, cx, host));
        if is_up {
            task = task.disrupting(true);
        }
        if is_up && missing.is_none() {
            task = task.before(gates::covered(settings, cx, host));
        }
        plan.tasks.push(task);
    }
    if former.has_zookeeper
        && !stops_zookeeper(settings, host, cx, plan)
        && let Some(zookeeper) = settings.zookeeper()
    {
        let stop = stop(host, &zookeeper.unit, "zookeeper").disrupting(true);
        plan.tasks.push(stop.gate(gates::reached(settings, cx)));
    }
    forget(settings, former, cx, plan);
}

/// Whether its ZooKeeper was told to stop before.
fn stops_zookeeper(settings: &Settings, host: &HostName, cx: &Cx<'_>, plan: &StepPlan) -> bool {
    settings.zookeeper().is_some_and(|zookeeper| {
        let mut tasks = cx.earlier.iter().chain(&plan.tasks);
        tasks.any(|task| task.host == *host && task.tells(&zookeeper.unit, UnitVerb::Stop))
    })
}

fn refusal(host: &HostName, why: String) -> Refusal {
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("the server on {host} is not stopped"),
        why,
        way_out: "copy what is missing to a member that stays; or allow that nobody serves it: it stays on the disk"
            .to_owned(),
        consent: Some(Consent {
            action: CONSENT.to_owned(),
            host: host.clone(),
        }),
    }
}

fn stop(host: &HostName, unit: &str, part: &str) -> Task {
    let operation = Operation::Unit {
        name: unit.to_owned(),
        verbs: vec![UnitVerb::Disable, UnitVerb::Stop],
    };
    let reason = "it is no member any more; its data stays";
    Task::new(
        host,
        format!("disable and stop {unit}"),
        reason,
        action(operation, UNIT),
    )
    .part(part)
}

/// Drops what is registered of its replicas. Its server is down by then, or the quorum's own session would show it
/// active, and the server that is asked refuses that.
fn forget(settings: &Settings, former: &Former<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let running = former.talk.up().and_then(|live| live.replicas.as_ref().ok());
    for host in cx.hosts {
        let talk = view::talk(settings, host, cx.facts);
        let Some((live, tables)) = talk
            .up()
            .and_then(|live| Some((live, live.replicas.as_ref().ok()?)))
        else {
            continue;
        };
        for replica in tables {
            let holders = former::holders(settings, replica, cx.facts);
            // The first of those that have it speaks for all.
            if holders.first().is_none_or(|(first, ..)| *first != host) {
                continue;
            }
            let its = running.and_then(|tables| tables.iter().find(|own| own.path == replica.path));
            let name = its.map_or(former.host.as_str(), |own| own.name.as_str());
            let registered = view::registered(&live.at, host, replica, cx.facts).unwrap_or_default();
            if !registered.contains(name) {
                continue;
            }
            // It is active until its server stops, right before.
            let left = replica.active - usize::from(its.is_some()).min(replica.active);
            plan.tasks
                .extend(drop(host, former.host, live, replica, name, left));
        }
    }
}

fn drop(
    on: &HostName,
    gone: &HostName,
    live: &Live,
    replica: &Replica,
    name: &str,
    left: usize,
) -> Option<Task> {
    // Older servers have no such statement: what is registered is told of by the step `replicas`.
    view::version(&live.version).filter(|version| *version >= (20, 5))?;
    let (database, table) = &replica.table;
    let what = format!("the replica of {database}.{table} on {gone} is not active, and the others are");
    let (sql, action) = drop_replica(live, replica, name, left, what);
    let title = format!("forget the replica of {database}.{table} on {gone}");
    Some(
        Task::new(
            on,
            title,
            "its server is stopped, and others have what it held",
            action,
        )
        .part(format!("{gone}.{database}.{table}"))
        .preview(Preview::Commands(vec![sql])),
    )
}
