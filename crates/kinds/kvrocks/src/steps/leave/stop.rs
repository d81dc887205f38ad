//! The sentinel and the engine of a departing member are stopped for good.

use super::super::failover;
use crate::checks;
use crate::observe::Member;
use crate::rules::preconditions::{Role, has_role};
use crate::rules::rollout::Rollout;
use kit::StepPlan;

const REASON: &str = "it is no host of this service any more";

pub(super) fn plan(rollout: &Rollout<'_, '_, '_>, former: &Member<'_>, is_proven: bool, all: &mut StepPlan) {
    let Rollout { cx, view, master, .. } = rollout;
    let (settings, host, engine) = (view.settings, former.host, former.engine.up());
    if !cx.others.contains(host) || former.unreachable.is_some() {
        return;
    }
    if let (Some(sentinel), true) = (rollout.sentinel_to_ask(), host == *master && engine.is_some()) {
        let reason = format!("{host} is the master, and no host of this service any more");
        failover::plan(view, cx, former, sentinel, &reason, all);
    }
    let sentinel = former.sentinel_unit.as_ref().ok();
    let sentinel = sentinel.and_then(|unit| settings.sentinel_process(host).retire(unit, REASON));
    let stopped = former.unit.as_ref().ok();
    let stopped = stopped.and_then(|unit| settings.engine_process(host).retire(unit, REASON));
    // Without proof a second master is stopped as one.
    let asked = engine.filter(|engine| engine.tells_role && (is_proven || !engine.is_master()));
    let is_replica = asked.map(|engine| has_role(settings, host, engine, Role::Replica));
    let stopped = stopped.map(|mut task| {
        let data_dir = settings.engine.defaults().data_dir;
        task.title = format!("{}; its data stay in {data_dir}", task.title);
        task.only_if(is_replica)
    });
    for mut task in sentinel
        .map(|task| task.part("sentinel"))
        .into_iter()
        .chain(stopped)
    {
        if is_proven {
            task = task.before(checks::staying(view, cx, host));
        }
        all.tasks.push(task);
    }
}
