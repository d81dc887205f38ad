//! The step `restart`: units run, and processes run with what their files say.
//!
//! A member that serves is restarted only for what it cannot take at run time, or because somebody asked for it. What
//! does not run is started first, sentinels too, for a member that is away counts. Then replicas go, each until it has
//! caught up; then Sentinel hands the master's role over, and the old master goes last, as a replica. Where nobody
//! serves yet, the master goes first, for the others copy from it. Sentinels are restarted only where somebody asked.

mod members;
mod need;
mod sentinels;

use plan::Level;
use protocol::UnitVerb;

use crate::observe::view::View;
use crate::rules::roles::Roles;
use crate::rules::rollout::Rollout;
use crate::settings::Settings;
use kit::{Cx, StepPlan};
use need::{Need, need};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let mut needs = Vec::new();
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        match need(&view, &roles, member, cx) {
            Ok(need) => needs.extend(need),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    let Some(master) = roles.master().cloned() else {
        return all;
    };
    // A member that is away is none that another may join.
    needs.sort_by_key(|need| need.disrupts);
    let is_master = |need: &Need<'_, '_>| *need.member.host == master;
    let mut last = None;
    if let Some(at) = needs.iter().position(is_master) {
        let need = needs.remove(at);
        if need.disrupts && view.members.len() > 1 {
            last = Some(need);
        } else {
            // Nobody depends on it now, and the replicas will.
            let engine = need.member.engine.up();
            if need.verbs.contains(&UnitVerb::Restart) && engine.is_some_and(|engine| !engine.is_empty()) {
                let text = "it is restarted, and holds data: whoever uses it already is interrupted";
                all.note(Level::Warning, Some(need.member.host), text);
            }
            needs.insert(0, need);
        }
    }
    let run = Rollout {
        settings,
        cx,
        view: &view,
        roles: &roles,
        master: &master,
    };
    let starts = needs.iter().take_while(|need| !need.disrupts).count();
    for need in &needs[..starts] {
        run.one(need, &mut all);
    }
    sentinels::start(&run, &mut all);
    for need in &needs[starts..] {
        run.one(need, &mut all);
    }
    if let Some(need) = last {
        run.master(&need, &mut all);
    }
    sentinels::restart(&run, &mut all);
    all
}
