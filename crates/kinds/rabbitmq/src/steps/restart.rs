//! The step `restart`: members of the cluster are restarted, one at a time, and no queue becomes unavailable with one.
//!
//! A cluster has no leader, so the order is the inventory's from its end: queues gather where clients first made them.
//! That no quorum queue would lose its quorum, nor a mirrored one its last synchronised copy, is asked of the brokers
//! right before each restart (as `rabbitmq-diagnostics check_if_node_is_quorum_critical` and
//! `check_if_node_is_mirror_sync_critical` do, <https://www.rabbitmq.com/docs/upgrade>). It is asked only where a member
//! is restarted, for the answer costs each node a question to all others.

use plan::{Level, Refusal};
use protocol::UnitVerb;

use crate::checks::Check;
use crate::observe::{Broker, Member, View};
use crate::rules::consents::RESTART;
use crate::rules::preconditions::is_dispensable;
use crate::rules::stale_config::{newer_config, stale_config};
use crate::settings::{NodeName, Settings, list};
use kit::{Cx, Need, Reason, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    let mut due = Vec::new();
    for member in view.on(cx.hosts).rev() {
        match reason(&view, member, cx) {
            Ok(None) => note_newer(&view, member, &mut plan),
            Ok(reason) => due.extend(in_cluster(member).zip(reason).map(|found| (member, found))),
            Err(why) => plan.unplanned.push((member.host.clone(), why)),
        }
    }
    let Some((_, (broker, _))) = due.first() else {
        return plan;
    };
    let down = down(&view, broker, cx);
    if down.iter().any(|node| settings.lists(node)) {
        let refusal = Refusal::new(
            "no member is restarted",
            format!("{} does not run, or is not seen by the others", list(down)),
            "bring it back first, or take it off the service's hosts, and plan again",
        );
        plan.refusals.push(refusal.passing());
        return plan;
    }
    if !down.is_empty() {
        // Not a refusal: that would keep them from leaving.
        let why = format!(
            "{} is still a member and does not run: it leaves first, plan again then",
            list(down)
        );
        let due = due.into_iter();
        plan.unplanned
            .extend(due.map(|(member, _)| (member.host.clone(), why.clone())));
        return plan;
    }
    if settings.hosts.len() == 2 {
        let text = "with two members, quorum queues stop while one of them restarts";
        plan.note(Level::Warning, None, text);
    }
    let due = due.into_iter();
    plan.tasks
        .extend(due.map(|(member, (broker, reason))| restart(settings, member, broker, reason, cx)));
    plan
}

/// The broker of a running member of a cluster. One that is alone is restarted by the step `start`.
fn in_cluster<'m>(member: &'m Member<'_>) -> Option<&'m Broker> {
    member.broker().filter(|broker| broker.is_clustered())
}

/// Why a member must be restarted; `None` where it need not.
fn reason(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Reason>, String> {
    let stale = stale_config(view, member, cx).map_err(|unknown| unknown.to_string())?;
    let reason = match stale {
        Some(why) => Reason::Restart(why),
        None if cx.asks_restart(member.host, &view.settings.unit) => Reason::Requested,
        None => return Ok(None),
    };
    member.node.as_ref().map_err(Clone::clone)?;
    Ok(Some(reason))
}

/// Tells of a file that is not ours, and that the running broker has not read: whether that matters is its owner's to say.
fn note_newer(view: &View<'_>, member: &Member<'_>, plan: &mut StepPlan) {
    if let Ok(Some(newer)) = newer_config(view, member) {
        let text = format!("{newer}, and is not managed: `--restart` puts it into force");
        plan.note(Level::Info, Some(member.host), text);
    }
}

/// The members that do not run, and that no earlier step of this plan starts.
fn down<'b>(view: &View<'_>, broker: &'b Broker, cx: &Cx<'_>) -> Vec<&'b NodeName> {
    let is_started = |node: &NodeName| {
        let mut members = view.on(cx.hosts).filter(|member| member.name == *node);
        members.any(|member| member.node.is_ok() && member.broker().is_none() && !member.is_paused())
    };
    let down = broker.members.difference(&broker.running);
    down.filter(|node| !is_started(node)).collect()
}

fn restart(settings: &Settings, member: &Member<'_>, broker: &Broker, reason: Reason, cx: &Cx<'_>) -> Task {
    let host = member.host;
    let is_stale = member.unit.as_ref().is_ok_and(|unit| unit.stale);
    let reload = is_stale.then_some(UnitVerb::DaemonReload);
    let verbs = reload.into_iter().chain([UnitVerb::Restart]).collect();
    let has_mirrors = broker.has_mirrors();
    let whole = if has_mirrors {
        "mirrors are synchronised"
    } else {
        "no queue depends on one member alone"
    };
    let back = format!("{host} runs, sees all members, and {whole}");
    let task = member
        .process(settings)
        .task(&Need { verbs, reason })
        .disrupting(true)
        .gate(Check::Back { has_mirrors }.gate(settings, host, back));
    if cx.is_allowed(RESTART, host) {
        return task;
    }
    let title = format!("no queue would go away with {host}");
    task.only_if([is_dispensable(settings, host, broker)])
        .before(Check::Dispensable { has_mirrors }.gate(settings, host, title))
}
