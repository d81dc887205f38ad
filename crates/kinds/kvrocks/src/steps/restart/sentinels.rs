//! Sentinels in a rolling change: those that are off and know the master are started before any member is disrupted, for
//! they vote; on request they are restarted one at a time, after the engines. Nothing else restarts a sentinel: what it
//! watches with is set while it runs.

use protocol::UnitVerb;

use crate::checks;
use crate::observe::Member;
use crate::rules::rollout::Rollout;
use kit::{Reason, StepPlan, Task};

/// Starts those that are off, where others watch: their files name a master, which may have changed since, and the others
/// tell them.
pub(super) fn start(rollout: &Rollout<'_, '_, '_>, all: &mut StepPlan) {
    if !rollout.roles.are_sentinels() {
        return;
    }
    for member in rollout.view.on(rollout.cx) {
        let unit = member.sentinel_unit.as_ref();
        let is_off = unit.is_ok_and(|unit| unit.exists() && !unit.is_active());
        // With a name in its file it does not start before `sentinel-seed`.
        let is_ready = member.monitors_by_file().is_some() && member.master_by_name().is_none();
        if is_off && is_ready {
            all.tasks
                .push(task(rollout, member, UnitVerb::Start, &Reason::Stopped));
        }
    }
}

/// Restarts those that a restart was requested of, one at a time.
pub(super) fn restart(rollout: &Rollout<'_, '_, '_>, all: &mut StepPlan) {
    let (view, cx) = (rollout.view, rollout.cx);
    for member in view.on(cx) {
        let is_requested = cx.asks_restart(member.host, &view.settings.sentinel.unit);
        if !is_requested || view.watch(member).is_none() {
            continue;
        }
        if let Some(refusal) = rollout.without_quorum(member.host) {
            all.refusals.push(refusal);
            continue;
        }
        let task = task(rollout, member, UnitVerb::Restart, &Reason::Requested)
            .disrupting(view.members.listed.len() > 1)
            .gate(checks::sentinel_agrees(view, cx));
        all.tasks.push(task);
    }
}

fn task(rollout: &Rollout<'_, '_, '_>, member: &Member<'_>, verb: UnitVerb, reason: &Reason) -> Task {
    let (view, host) = (rollout.view, member.host);
    let process = view.settings.sentinel_process(host);
    process
        .tell(&[verb], reason.to_string())
        .part("sentinel")
        .gate(checks::sentinel_knows(view, rollout.cx, host))
}
