//! The step `leave`: members that the inventory does not list any more leave the set, and their servers stop.
//!
//! It comes after the services that use the set, which have other addresses by then. One member leaves after the other,
//! each configuration committed before the next; a primary that leaves steps down first. A server that is out is stopped
//! and disabled, so that no client takes it for a member; its data stay where they are.

use formats::replset::SetConfig;
use kit::{Cx, StepPlan, Task};
use plan::Refusal;
use types::HostName;

use super::tasks;
use crate::observe::{Member, View};
use crate::rules::availability::is_seen_available;
use crate::rules::member_removal::{DepartingMember, departing_members};
use crate::rules::membership_change::config_by_then;
use crate::rules::preconditions::is_not_primary;
use crate::rules::reconfig_plan::Reconfig;
use crate::settings::Settings;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    // Without a primary no member leaves; the step `check` says so.
    let Some((primary, _)) = view.primary() else {
        return all;
    };
    let Some(config) = config_by_then(&view, cx) else {
        return all;
    };
    let mut leaving = Vec::new();
    // Those that are not available are removed by the step `members`.
    let departing = departing_members(&view, &config, cx).into_iter();
    for (departing, proof) in departing.filter(|(departing, _)| departing.is_available) {
        match proof {
            Ok(()) => {
                departing.note_out_of_reach(&view, cx, &mut all);
                leaving.push(departing);
            }
            Err(why) => all.refusals.push(departing.refusal(&view, &why)),
        }
    }
    let mut left: Vec<String> = leaving.iter().map(|departing| departing.name.clone()).collect();
    if let Err(refusal) = remove(&view, config.clone(), primary.host, leaving, cx, &mut all) {
        left.clear();
        all.refusals.push(*refusal);
    }
    for member in view
        .former_members()
        .filter(|member| cx.others.contains(member.host))
    {
        let name = view.names.of(member.host);
        if config.member(name).is_none() || left.iter().any(|left| left == name) {
            all.tasks.extend(retire(settings, member));
        }
    }
    all
}

/// Removes members from the configuration, the primary last.
fn remove(
    view: &View<'_>,
    mut config: SetConfig,
    primary: &HostName,
    leaving: Vec<DepartingMember>,
    cx: &Cx<'_>,
    all: &mut StepPlan,
) -> Result<(), Box<Refusal>> {
    let mut primary = primary.clone();
    // Where an earlier step of this plan steps the primary down, the term of the next is not known.
    let step_down = tasks::replica_set_step_down(view.settings);
    if cx.earlier_on(&primary).any(|operation| *operation == step_down) {
        config = config.in_any_term();
        primary = next_primary(view, &config, &primary).unwrap_or(primary);
    }
    let (last, first): (Vec<_>, Vec<_>) = leaving.into_iter().partition(|it| it.host == primary);
    for departing in first.into_iter().chain(last) {
        let reason = if departing.is_allowed {
            "the inventory does not list it, and its removal is allowed"
        } else {
            "the inventory does not list it, and the others have all that it has"
        };
        if departing.host == primary {
            let others = Reconfig::removal(config.clone(), &departing.name, reason).to;
            let Some(next) = next_primary(view, &others, &primary) else {
                let why = "it is the primary, and no member that stays could take over";
                return Err(Box::new(departing.refusal(view, why)));
            };
            let why = format!("{primary} is the primary, and leaves the set");
            let task = tasks::step_down(view, &primary, why);
            all.tasks.push(tasks::prove_again(view, &departing, task));
            config = config.in_any_term();
            primary = next;
        }
        let removal = Reconfig::removal(config, &departing.name, reason);
        config = removal.to.clone();
        let task = tasks::reconfig(view, &primary, removal);
        all.tasks.push(tasks::prove_again(view, &departing, task));
    }
    Ok(())
}

/// The member that takes over from a primary: the server asks the one of the highest priority among those that have
/// everything, and of several the first. Where another was elected, the tasks that rely on it find that out, and a new
/// plan is made.
fn next_primary(view: &View<'_>, config: &SetConfig, primary: &HostName) -> Option<HostName> {
    let mut best: Option<(f64, HostName)> = None;
    for member in config.members() {
        let Some(host) = view.host_of(member.name()).filter(|host| host != primary) else {
            continue;
        };
        let now = view.config.as_ref().and_then(|now| now.member(member.name()));
        // A member that this plan grants a vote has a gate.
        let is_granted = !now.is_some_and(|now| now.votes());
        let is_eligible = member.priority() > 0.0
            && !member.is_arbiter()
            && (is_granted || is_seen_available(view, member.name()));
        let is_better = best
            .as_ref()
            .is_none_or(|(priority, _)| member.priority() > *priority);
        if is_eligible && is_better {
            best = Some((member.priority(), host));
        }
    }
    best.map(|(_, host)| host)
}

/// A server that is out of the set is stopped and does not come back.
fn retire(settings: &Settings, member: &Member<'_>) -> Option<Task> {
    let task = tasks::stop(settings, member, "is no member of the set any more")?;
    Some(task.only_if([is_not_primary(settings, member)]))
}
