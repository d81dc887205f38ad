//! The restart of the master, which another replaces first.

use plan::{Gate, Level, Refusal};

use super::super::{failover, reapply_config};
use super::need::EngineNeed;
use crate::rules::drift::drifts;
use crate::rules::preconditions::{Role, has_role};
use crate::rules::rollout::Rollout;
use kit::StepPlan;

/// Restarts an available master, after a failover.
pub(super) fn plan(rollout: &Rollout<'_, '_, '_>, need: &EngineNeed<'_, '_>, all: &mut StepPlan) {
    let (host, reason) = (need.member.host, &need.need.reason);
    if !rollout.roles.are_sentinels() {
        let text = "the master is restarted without a failover, for no sentinel watches it yet: clients lose it for a moment";
        all.note(Level::Warning, Some(host), text);
        all.tasks.push(need.task(rollout));
        return;
    }
    if let Some(refusal) = rollout.without_quorum(host) {
        all.refusals.push(refusal);
        return;
    }
    let Some(sentinel) = rollout.sentinel_to_ask() else {
        let why = "no sentinel can be asked for a failover".to_owned();
        all.unplanned.push((host.clone(), why));
        return;
    };
    if !rollout.has_candidate() {
        let refusal = Refusal::new(
            format!("{host} is not restarted ({reason})"),
            "it is the master, and no replica can take over: none is up, linked and eligible",
            "bring a replica up first, and make sure that its priority is not 0",
        );
        all.refusals.push(refusal.on(host).passing());
        return;
    }
    let reason = format!("{host} is the master, and must be restarted: {reason}");
    failover::plan(rollout.view, rollout.cx, need.member, sentinel, &reason, all);
    plan_old(rollout, need, None, all);
}

/// Restarts an old master once it is a replica; until Sentinel has made it one, it reports the role master.
pub(super) fn plan_old(
    rollout: &Rollout<'_, '_, '_>,
    need: &EngineNeed<'_, '_>,
    before: Option<&Gate>,
    all: &mut StepPlan,
) {
    let (settings, member) = (rollout.view.settings, need.member);
    let engine = member.engine.up();
    let mut waiting = engine
        .and_then(|engine| drifts(member, engine).ok())
        .unwrap_or_default();
    waiting.retain(|drift| !drift.is_settable && drift.key() != "requirepass");
    let engine = engine.filter(|engine| engine.tells_role);
    let is_replica = engine.map(|engine| has_role(settings, member.host, engine, Role::Replica));
    let tasks = reapply_config::plan(member, &waiting)
        .into_iter()
        .chain([need.task(rollout)]);
    for (at, task) in tasks.enumerate() {
        let mut task = task.only_if(is_replica.clone());
        task.before.extend(before.filter(|_| at == 0).cloned());
        all.tasks.push(task);
    }
}
