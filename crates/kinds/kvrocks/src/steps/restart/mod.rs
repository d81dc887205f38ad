//! The step `restart`: units run, and processes run with what their files say.
//!
//! A member that is available is restarted only for what it cannot accept at run time, or on request. What is down is
//! started first, sentinels too, for the others count on it. Then replicas are restarted, each until it has caught up; then
//! Sentinel fails over, and the old master is restarted last, as a replica. Where no member is available yet, the master is
//! first, for the others copy from it. Sentinels are restarted on request only.

mod master;
mod members;
mod need;
mod sentinels;

use plan::Level;

use crate::observe::View;
use crate::rules::find_roles::find_roles;
use crate::rules::rollout::Rollout;
use crate::settings::Settings;
use kit::{Cx, StepPlan, Turn};
use need::{EngineNeed, engine_need};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    let mut needs = Vec::new();
    for member in view.on(cx) {
        match engine_need(&view, &roles, member, cx) {
            Ok(need) => needs.extend(need),
            Err(why) => all.unplanned.push((member.host.clone(), why.to_string())),
        }
    }
    let Some(master) = roles.master() else {
        return all;
    };
    let is_master = |need: &EngineNeed<'_, '_>| need.member.host == master;
    let turn = |need: &EngineNeed<'_, '_>| match need.disrupts {
        false => Turn::Down,
        true if is_master(need) && settings.hosts.len() > 1 => Turn::Leader,
        true => Turn::Follower,
    };
    // A master that is down is before its replicas, which will depend on it.
    needs.sort_by_key(|need| (turn(need), !is_master(need)));
    if let Some(need) = needs.iter().find(|need| is_master(need))
        && turn(need) != Turn::Leader
        && need.need.restarts()
        && need.member.engine.up().is_some_and(|engine| !engine.is_empty())
    {
        let text = "it is restarted, and has data: clients that use it already are interrupted";
        all.note(Level::Warning, Some(need.member.host), text);
    }
    let rollout = Rollout {
        cx,
        view: &view,
        roles: &roles,
        master,
    };
    let down = needs.partition_point(|need| turn(need) == Turn::Down);
    for need in &needs[..down] {
        members::plan(&rollout, need, &mut all);
    }
    sentinels::start(&rollout, &mut all);
    for need in &needs[down..] {
        match turn(need) {
            Turn::Leader => master::plan(&rollout, need, &mut all),
            Turn::Down | Turn::Follower => members::plan(&rollout, need, &mut all),
        }
    }
    sentinels::restart(&rollout, &mut all);
    all
}
