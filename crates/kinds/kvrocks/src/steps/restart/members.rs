//! Members that are down, and replicas, one after another.

use protocol::Precondition;

use super::master;
use super::need::EngineNeed;
use crate::checks;
use crate::observe::Engine;
use crate::rules::preconditions::{Role, has_role, same_master, still_empty};
use crate::rules::role_assignment::RESYNC;
use crate::rules::roles::Roles;
use crate::rules::rollout::Rollout;
use kit::{Probe, StepPlan};

/// Starts or restarts a member that is not an available master.
pub(super) fn plan(rollout: &Rollout<'_, '_, '_>, need: &EngineNeed<'_, '_>, all: &mut StepPlan) {
    let host = need.member.host;
    if host != rollout.master && (need.disrupts || need.is_joining) {
        if let Some(why) = master_is_unavailable(rollout) {
            all.not_yet.push((host.clone(), why));
            return;
        }
        if let Some(refusal) = rollout.without_quorum(host).filter(|_| need.disrupts) {
            all.refusals.push(refusal);
            return;
        }
    }
    if need.is_old_master(rollout) {
        let gate = checks::new_master(rollout.view, rollout.cx, host);
        master::plan_old(rollout, need, Some(&gate), all);
        return;
    }
    let task = need.task(rollout);
    all.tasks.push(task.only_if(preconditions(rollout, need)));
}

fn preconditions(rollout: &Rollout<'_, '_, '_>, need: &EngineNeed<'_, '_>) -> Vec<Precondition> {
    let Rollout { cx, view, master, .. } = rollout;
    let (settings, host, engine) = (view.settings, need.member.host, need.member.engine.up());
    let mut only_if = Vec::new();
    if rollout.roles.are_sentinels() && need.need.starts() {
        // The sentinel of a host that is cut off knows of no election.
        let other = rollout.other_sentinel(host).filter(|_| host == *master);
        only_if.extend(same_master(view, master, host, other.unwrap_or(need.member)));
        // One that was elected meanwhile would come back as a master beside the next one.
        let replica =
            engine.filter(|engine| !engine.is_master() && engine.authenticated && engine.tells_role);
        only_if.extend(replica.map(|engine| has_role(settings, host, engine, Role::Replica)));
    }
    if need.is_joining && !cx.is_allowed(RESYNC, host) {
        let empty = |engine: &Engine| still_empty(settings, host, engine);
        only_if.extend(engine.map(empty));
    }
    only_if
}

/// Why the master cannot be followed, now or once this plan has started it.
fn master_is_unavailable(rollout: &Rollout<'_, '_, '_>) -> Option<String> {
    let Rollout {
        cx,
        view,
        roles,
        master,
    } = rollout;
    let member = view.members.any(master)?;
    if let Some(why) = member.unreachable {
        return Some(format!("its master {master} cannot be reached: {why}"));
    }
    let is_starting = !member.is_active()
        || matches!(roles, Roles::First(_))
        || member.has_newer_file()
        || cx.writes(master, &view.settings.config);
    match &member.engine {
        Probe::Down(why) | Probe::Unknown(why) | Probe::Denied(why) if !is_starting => {
            Some(format!("its master {master} is unavailable: {why}"))
        }
        _ => None,
    }
}
