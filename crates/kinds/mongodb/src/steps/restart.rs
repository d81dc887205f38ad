//! The step `restart`: members of the set that run with other options than their files say are restarted, so that the
//! set keeps its majority and its primary all the while.
//!
//! Secondaries first, one at a time, each until it is back and has caught up; then the primary steps down, and is
//! restarted last, as a secondary. The agent checks the roles again right before: a plan whose primary changed stops
//! there, and the next one is right.

use kit::{Cx, Reason, StepPlan, Task, Turn, majority};
use plan::{Level, Refusal};
use protocol::{Precondition, UnitVerb};
use types::HostName;

use super::tasks::step_down;
use crate::checks::gates;
use crate::observe::{Member, Membership, Role, View};
use crate::rules::availability::{unavailable, voters};
use crate::rules::doubt::is_coming;
use crate::rules::drift::drift;
use crate::rules::majority_writes::stalled_by_one;
use crate::rules::membership_change::config_by_then;
use crate::rules::oplog;
use crate::rules::preconditions::{is_available, is_not_primary, is_primary};
use crate::rules::process::{process, restart_reason, starts};
use crate::settings::Settings;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let mut needs: Vec<(&Member<'_>, Reason)> = view
        .listed_on(cx.hosts)
        .filter(|member| member.membership() == Some(&Membership::Member))
        .filter_map(|member| Some((member, restart_reason(settings, member, cx)?)))
        .collect();
    for member in view.listed_on(cx.hosts) {
        let is_left = !needs.iter().any(|(due, _)| due.host == member.host)
            && !cx.writes(member.host, &settings.config_path);
        if let Some(drift) = drift(settings, member).filter(|_| is_left) {
            all.note(Level::Info, Some(member.host), drift);
        }
    }
    if needs.is_empty() {
        return all;
    }
    let Some((primary, _)) = view.primary() else {
        for (member, reason) in needs {
            let why = format!("it must be restarted ({reason}), and the set has no primary");
            all.unplanned.push((member.host.clone(), why));
        }
        return all;
    };
    if let Some(refusal) = no_majority(&view, &needs, cx) {
        all.refusals.push(refusal);
        return all;
    }
    if let Some(window) = oplog::window(&view) {
        let text = format!(
            "members are restarted one at a time, and none may be down longer than the oplog of {} goes back ({window})",
            primary.host
        );
        all.note(Level::Info, None, text);
    }
    if let Some(why) = config_by_then(&view, cx).as_ref().and_then(stalled_by_one) {
        let text = format!("while a member restarts, writes with {{ w: \"majority\" }} wait: {why}");
        all.note(Level::Warning, None, text);
    }
    let down = unavailable(&view);
    needs.sort_by_key(|(member, _)| match member.host {
        host if host == primary.host => Turn::Leader,
        host if down.contains(host) => Turn::Down,
        _ => Turn::Follower,
    });
    for (member, reason) in needs {
        if member.host == primary.host {
            plan_primary(&view, member, &reason, cx, &mut all);
            continue;
        }
        let role = member.server.up().and_then(|server| server.role);
        let only_if = match role {
            Some(role) => is_available(settings, member, role),
            None => is_not_primary(settings, member),
        };
        all.tasks.push(restart(&view, member, &reason, only_if));
    }
    all
}

fn plan_primary(view: &View<'_>, primary: &Member<'_>, reason: &Reason, cx: &Cx<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, primary.host);
    let is_eligible = |other: &Member<'_>| {
        let config = view.config.as_ref();
        let configured = config.and_then(|config| config.member(view.names.of(other.host)));
        let role = other.server.up().and_then(|server| server.role);
        let is_up = role == Some(Role::Secondary) || starts(view, other, cx);
        other.host != host && is_up && configured.is_some_and(|member| member.priority() > 0.0)
    };
    if !view.listed().iter().any(is_eligible) {
        let text = "no other member could take over: the set takes no writes until it is back";
        all.note(Level::Warning, Some(host), text);
        let only_if = is_primary(settings, host);
        all.tasks.push(restart(view, primary, reason, only_if));
        return;
    }
    let why = format!("{host} is the primary, and must be restarted: {reason}");
    all.tasks.push(step_down(view, host, why));
    let only_if = is_available(settings, primary, Role::Secondary);
    all.tasks.push(restart(view, primary, reason, only_if));
}

fn restart(view: &View<'_>, member: &Member<'_>, reason: &Reason, only_if: Precondition) -> Task {
    let mut verbs = Vec::new();
    if member.unit.as_ref().is_ok_and(|unit| unit.stale) {
        verbs.push(UnitVerb::DaemonReload);
    }
    verbs.push(UnitVerb::Restart);
    process(view.settings, member.host)
        .tell(&verbs, reason.to_string())
        .only_if([only_if])
        .disrupting(true)
        .gate(gates::available(view, member.host))
}

/// Restarting one more member would leave no majority of the voters.
fn no_majority(view: &View<'_>, needs: &[(&Member<'_>, Reason)], cx: &Cx<'_>) -> Option<Refusal> {
    let config = config_by_then(view, cx)?;
    let unavailable = unavailable(view);
    // A member that must be restarted itself is mended by it.
    let is_mended = |host: &HostName| {
        let member = view.members.listed(host);
        needs.iter().any(|(other, _)| other.host == host)
            || member.is_some_and(|member| starts(view, member, cx))
    };
    let down: Vec<HostName> = voters(&config)
        .filter_map(|voter| view.host_of(voter.name()))
        .filter(|host| unavailable.contains(host) && !is_mended(host))
        .collect();
    let voters = config.voters();
    // Two voters, or one, have no majority without each of them: then there is nothing to keep.
    if down.is_empty() || voters < 3 || voters.saturating_sub(down.len()) > majority(voters) {
        return None;
    }
    let hosts: Vec<&str> = down.iter().map(HostName::as_str).collect();
    let refusal = Refusal::new(
        "no member is restarted",
        format!(
            "{} of {voters} voting members are not available ({}), and one more would leave no majority",
            down.len(),
            hosts.join(", ")
        ),
        "bring them back first, and plan again",
    );
    let is_coming = |host: &HostName| {
        view.members
            .any(host)
            .is_some_and(|member| is_coming(view, member))
    };
    Some(if down.iter().all(is_coming) {
        refusal.passing()
    } else {
        refusal
    })
}
