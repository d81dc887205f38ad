//! The step `members`: the set's configuration becomes the inventory's, one safe change after another.

use formats::replset::SetConfig;
use kit::{Cx, Probe, StepPlan, Task};
use plan::{Level, Refusal};
use types::HostName;

use super::tasks;
use crate::checks::gates;
use crate::observe::{Member, View};
use crate::rules::majority_writes::stalled_by_one;
use crate::rules::member_blocker::member_blocker;
use crate::rules::member_removal::DepartingMember;
use crate::rules::membership_change::{MembershipChange, may_be_member, may_join, membership_change};
use crate::rules::process::starts;
use crate::rules::reconfig_plan::{Change, Reconfig};
use crate::rules::stored_data::{DISCARD, StoredData, stored_data};
use crate::settings::Settings;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let change = match membership_change(&view, cx) {
        Ok(Some(change)) => change,
        // Without a primary nothing can be changed; the step `check` says so.
        Ok(None) => return all,
        Err(unplanned) => {
            all.unplanned.push(unplanned);
            return all;
        }
    };
    if let Some(refusal) = would_demote_primary(&view, &change) {
        all.refusals.push(refusal);
        return all;
    }
    for member in view.listed_on(cx.hosts) {
        let Some(why) = cannot_join(&view, member, &change.from, cx) else {
            continue;
        };
        let is_started = starts(&view, member, cx);
        let hosts = if is_started {
            &mut all.not_yet
        } else {
            &mut all.unplanned
        };
        hosts.push((member.host.clone(), why.to_owned()));
    }
    let last = change.changes.iter().rev().find_map(|change| match change {
        Change::Reconfig(reconfig) => Some(&reconfig.to),
        Change::InitialSync(_) | Change::WriteConcern(_) => None,
    });
    if let Some(why) = last.and_then(stalled_by_one) {
        let text = format!(
            "with the arbiter, writes with {{ w: \"majority\" }} wait while a member with data is down: {why}"
        );
        all.note(Level::Warning, None, text);
    }
    for one in change.changes {
        let unproven: Vec<&HostName> = joining_unproven(&view, &one, cx).collect();
        let task = tasks::change(&view, change.primary, one);
        let gates = unproven
            .into_iter()
            .map(|host| gates::nothing_to_lose(&view, host));
        all.tasks.push(gates.fold(task, Task::before));
    }
    for (departing, removal) in change.removals {
        match removal {
            Ok(removal) => remove(&view, change.primary, &departing, removal, cx, &mut all),
            Err(why) => all.refusals.push(departing.refusal(&view, &why)),
        }
    }
    all
}

/// Removes a member that is not available.
fn remove(
    view: &View<'_>,
    primary: &HostName,
    departing: &DepartingMember,
    removal: Reconfig,
    cx: &Cx<'_>,
    all: &mut StepPlan,
) {
    departing.note_out_of_reach(view, cx, all);
    // Once it is out, a server that is off is like any other: it is disabled before.
    let mut former = view.members.former.iter();
    let member = former.find(|member| *member.host == departing.host && cx.others.contains(member.host));
    let off = member.filter(|member| matches!(member.server, Probe::Down(_)));
    let why = "leaves the set, and must not come back";
    all.tasks
        .extend(off.and_then(|member| tasks::stop(view.settings, member, why)));
    let task = tasks::reconfig(view, primary, removal);
    all.tasks.push(tasks::prove_again(view, departing, task));
}

/// Hosts that join with a change, and whose servers this plan starts although they have run before: their data are seen
/// only then.
fn joining_unproven<'v>(
    view: &'v View<'_>,
    change: &Change,
    cx: &Cx<'_>,
) -> impl Iterator<Item = &'v HostName> {
    let joins = move |member: &&Member<'_>| match change {
        Change::Reconfig(Reconfig { from, to, .. }) => {
            let name = view.names.of(member.host);
            from.member(name).is_none() && to.member(name).is_some()
        }
        Change::InitialSync(_) | Change::WriteConcern(_) => false,
    };
    let is_unproven = |member: &&Member<'_>| {
        !member.server.is_up()
            && stored_data(member) != StoredData::Nothing
            && !cx.is_allowed(DISCARD, member.host)
    };
    let members = view.listed().iter().filter(joins).filter(is_unproven);
    members.map(|member| member.host)
}

/// Why a host that should be a member cannot be made one by this plan.
fn cannot_join(view: &View<'_>, member: &Member<'_>, from: &SetConfig, cx: &Cx<'_>) -> Option<&'static str> {
    let is_member = from.member(view.names.of(member.host)).is_some();
    // The step `check` refuses what is blocked.
    if is_member || may_join(view, member, cx) || member_blocker(view, member, cx).is_some() {
        return None;
    }
    Some(if may_be_member(view, member) {
        "it does not join the set: it may be a member under another name, which its server tells once it runs"
    } else {
        "it does not join the set: its server does not answer as one that could"
    })
}

/// A primary can neither remove itself from its set nor make itself ineligible.
fn would_demote_primary(view: &View<'_>, change: &MembershipChange<'_>) -> Option<Refusal> {
    let primary = change.primary;
    let name = view.names.of(primary);
    let demotes = |change: &Change| match change {
        Change::Reconfig(Reconfig { to, .. }) => {
            to.member(name).is_none_or(|member| member.priority() <= 0.0)
        }
        Change::InitialSync(_) | Change::WriteConcern(_) => false,
    };
    change.changes.iter().any(demotes).then(|| {
        Refusal::new(
            "the set's configuration is not changed",
            format!("{primary} is the primary, and would not be eligible any more"),
            "let another member take over first: rs.stepDown() in the shell, and plan again",
        )
    })
}
