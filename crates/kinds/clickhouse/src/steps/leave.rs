//! The step `leave`: former members are removed, when no clients are told of them any more.
//!
//! First the quorum does without a departing voter, where that had to wait for joining ones; one voter after another learns
//! of it, while it still votes. Then, once the members have all that a former member holds, its server is stopped and
//! disabled, for it would come back and replicate otherwise; then its ZooKeeper. At last what is registered of its replicas
//! is dropped. Its data stays where it is.

use plan::{Level, Refusal};
use protocol::UnitVerb;
use types::HostName;

use crate::checks;
use crate::observe::server::replies::{Live, Replica};
use crate::observe::view::View;
use crate::rules::coordination::interim_membership;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::need::{server_process, zookeeper_process};
use crate::rules::server::config_xml::version;
use crate::rules::server::drop_replica::Registered;
use crate::rules::server::former_member::{self, FormerMember, holders, only_there};
use crate::rules::server::new_replica;
use crate::settings::Settings;
use crate::steps::{departing_voter, member_removal};
use kit::{Cx, StepPlan, Task};

/// The consent to stop a server although what it holds is not shown to be elsewhere.
const CONSENT: &str = "clickhouse.abandon";

/// The reason of what is stopped.
const REASON: &str = "it is a former member; its data stays";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = Quorum::of_inventory(&view);
    if !interim_membership::quorum(&view).membership.departing.is_empty() {
        member_removal::plan(&quorum, cx, &mut plan);
    } else if settings.keeper().is_some() {
        // The former voter may have been elected again since the others have learned; a leader never removes itself.
        let is_told = |task: &Task| cx.tells(&task.host, &settings.unit, UnitVerb::Restart);
        let task = departing_voter::step_down(&quorum, cx).filter(|task| !is_told(task));
        plan.tasks
            .extend(task.filter(|task| cx.others.contains(&task.host)));
    }
    for host in cx.others {
        if let Some(former) = former_member::on(&quorum, host) {
            remove(&view, &former, cx, &mut plan);
        }
    }
    plan
}

fn remove(view: &View<'_>, former: &FormerMember<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let (settings, host) = (view.settings, former.member.host);
    if former.has_server {
        match stop_server(view, former, cx) {
            Ok(task) => {
                let text = "it is a former member: its server is stopped and disabled, and its data stays where it is";
                plan.note(Level::Info, Some(host), text);
                plan.tasks.push(task);
            }
            Err(refusal) => {
                plan.refusals.push(*refusal);
                return;
            }
        }
    }
    if former.has_zookeeper
        && let Some(zookeeper) = settings.zookeeper()
        && !cx.tells(host, &zookeeper.unit, UnitVerb::Stop)
        && !stops(plan, host, &zookeeper.unit)
    {
        let stop = zookeeper_process(zookeeper, host).tell(&[UnitVerb::Disable, UnitVerb::Stop], REASON);
        let stop = stop.part("zookeeper").disrupting(true);
        plan.tasks.push(stop.gate(checks::reached(settings, cx)));
    }
    forget(view, former, cx, plan);
}

/// Whether this step stops a unit already.
fn stops(plan: &StepPlan, host: &HostName, unit: &str) -> bool {
    let mut tasks = plan.tasks.iter();
    tasks.any(|task| task.host == *host && task.tells(unit, UnitVerb::Stop))
}

fn stop_server(view: &View<'_>, former: &FormerMember<'_>, cx: &Cx<'_>) -> Result<Task, Box<Refusal>> {
    let (settings, host) = (view.settings, former.member.host);
    let is_up = former.member.unit.as_ref().is_ok_and(|unit| !unit.has_ended());
    let missing = only_there(view, former.member).filter(|_| is_up);
    let is_proven = is_up && missing.is_none();
    if let Some(why) = missing.filter(|_| !cx.is_allowed(CONSENT, host)) {
        let resolve = "copy what is missing to a member that stays; or allow that it is unavailable: it stays on the disk";
        let refusal = Refusal::new(format!("the server on {host} is not stopped"), why, resolve);
        return Err(Box::new(refusal.on(host).unless_allowed(CONSENT, host)));
    }
    let stop = server_process(settings, host).tell(&[UnitVerb::Disable, UnitVerb::Stop], REASON);
    let stop = stop.part("server").disrupting(is_up);
    let stop = stop.gate(checks::left(settings, cx, host));
    Ok(if is_proven {
        stop.before(checks::covered(settings, cx, host))
    } else {
        stop
    })
}

/// Drops what is registered of its replicas. Its server is down by then, or the quorum's own session would show it
/// active, and the server that is asked refuses that.
fn forget(view: &View<'_>, former: &FormerMember<'_>, cx: &Cx<'_>, plan: &mut StepPlan) {
    let running = former.member.server.up();
    for host in cx.hosts {
        let Some(live) = view.member(host).and_then(|member| member.server.up()) else {
            continue;
        };
        for replica in live.replicas.iter().flatten() {
            // The first of those that have it speaks for all.
            if holders(view, replica)
                .next()
                .is_none_or(|(first, ..)| first != host)
            {
                continue;
            }
            let its = running.and_then(|live| live.replica_of(replica));
            let name = its.map_or(former.member.host.as_str(), |own| own.name.as_str());
            if live.registered(replica).is_some_and(|names| names.contains(name)) {
                // The replica is active until its server stops, right before; and new ones come by then.
                let new = new_replica::coming(view, cx.hosts, replica);
                let active = replica.active - usize::from(its.is_some()).min(replica.active);
                let count = (replica.total + new, active + new);
                plan.tasks
                    .extend(drop(host, former.member.host, live, replica, name, count));
            }
        }
    }
}

fn drop(
    on: &HostName,
    gone: &HostName,
    live: &Live,
    replica: &Replica,
    name: &str,
    count: (usize, usize),
) -> Option<Task> {
    // Older servers have no such statement: what is registered is told of by the step `replicas`.
    version(&live.version).filter(|version| *version >= (20, 5))?;
    let table = replica.full_name();
    let registered = Registered {
        on,
        live,
        replica,
        name,
    };
    let task = registered.task(
        format!("forget the replica of {table} on {gone}"),
        "its server is stopped, and others have what it held",
        count,
        format!("the replica of {table} on {gone} is not active, and the others are"),
    );
    Some(task.part(format!("{gone}.{table}")))
}
