//! The step `initiate`: the set comes into being, once.
//!
//! Only where no host has a configuration of any set. The seed is the host that holds data, else the first of the
//! inventory; it alone votes at first, so that it becomes the primary in any case. The step `members` grants the others
//! their votes once they have its data.

use kit::{Cx, Probe, StepPlan, Task};
use plan::Refusal;

use super::tasks::command_task;
use crate::checks::gates;
use crate::observe::{Member, Membership, View};
use crate::rules::initiation::{initial_config, initiate};
use crate::rules::member_blocker::member_blocker;
use crate::rules::preconditions::is_in_no_set;
use crate::rules::process::starts;
use crate::rules::set_blockers::set_blockers;
use crate::rules::stored_data::{DISCARD, StoredData, stored_data};
use crate::settings::Settings;

/// Time limit: the seed asks all others first.
const LIMIT: u64 = 120_000;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let members = view.listed();
    // What the step `check` refuses is said once.
    let is_blocked = !set_blockers(&view).is_empty()
        || members
            .iter()
            .any(|member| member_blocker(&view, member, cx).is_some());
    if view.has_set() || members.is_empty() || is_blocked {
        return all;
    }
    for member in members {
        if let Err(why) = ready(&view, member, cx) {
            let why = format!("the set is initiated once all its hosts are ready: {why}");
            all.unplanned.push((member.host.clone(), why));
        }
    }
    if all.unplanned.is_empty() {
        match seed(&view, cx) {
            Ok(seed) => all.tasks.push(task(&view, seed)),
            Err(refusal) => all.refusals.push(*refusal),
        }
    }
    all
}

/// Passes where a host can be part of the new set; else the error says why not.
fn ready(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<(), String> {
    let host = member.host;
    if let Some(why) = member.unreachable {
        return Err(format!("{host} cannot be reached: {why}"));
    }
    if !cx.hosts.contains(host) {
        return Err(format!("{host} is not part of this run"));
    }
    match &member.server {
        Probe::Up(server) => match &server.membership {
            Membership::Uninitiated => Ok(()),
            Membership::Standalone if starts(view, member, cx) => Ok(()),
            Membership::Standalone => Err(format!("{host} does not replicate")),
            Membership::Hidden(error) => Err(format!("{host} says {error}")),
            Membership::Member | Membership::OtherSet(_) | Membership::Removed(_) => {
                Err(format!("{host} has been in a set"))
            }
        },
        Probe::Denied(error) => Err(format!("{host} refuses the admin: {error}")),
        Probe::Down(_) | Probe::Unknown(_) if starts(view, member, cx) => {
            if member.never_ran() {
                return Ok(());
            }
            Err(format!(
                "{host} has run before, and only its start tells the set that it is a member of"
            ))
        }
        Probe::Down(why) | Probe::Unknown(why) => Err(format!("{host} does not answer: {why}")),
    }
}

/// The host that is initiated: its data become the set's, and those of any other are lost. So the seed is the host that
/// holds data, or the only one that may hold some; where that does not decide, the operator does.
fn seed<'v>(view: &'v View<'_>, cx: &Cx<'_>) -> Result<&'v Member<'v>, Box<Refusal>> {
    let is_eligible = |member: &Member<'_>| {
        let options = view.settings.options(member.host);
        options.is_some_and(|options| !options.is_passive())
    };
    let mut found: Vec<(&Member<'_>, String)> = Vec::new();
    let mut unproven: Vec<(&Member<'_>, String)> = Vec::new();
    for member in view.listed() {
        match stored_data(member) {
            StoredData::Nothing => {}
            StoredData::Found(what) => found.push((member, what)),
            StoredData::Unproven(_) if cx.is_allowed(DISCARD, member.host) => {}
            StoredData::Unproven(why) => unproven.push((member, why)),
        }
    }
    let (seed, data) = match (found.as_slice(), unproven.as_slice()) {
        ([], []) => {
            let first = view.listed().iter().find(|member| is_eligible(member));
            let why = || "no member may become the primary".to_owned();
            return first.ok_or_else(|| not_initiated(why(), "give one a priority"));
        }
        ([(member, what)], []) => (member, format!("holds {what}, and may not become the primary")),
        ([], [(member, why)]) => (
            member,
            format!("may hold data, and may not become the primary: {why}"),
        ),
        _ => return Err(several_with_data(&found, &unproven)),
    };
    if is_eligible(seed) {
        return Ok(seed);
    }
    let why = format!("{} {data}", seed.host);
    Err(not_initiated(why, "give it a priority in the inventory"))
}

/// Several hosts hold data, or may.
fn several_with_data(found: &[(&Member<'_>, String)], unproven: &[(&Member<'_>, String)]) -> Box<Refusal> {
    if let [(first, what), (second, other), ..] = found {
        return not_initiated(
            format!(
                "{} holds {what} and {} holds {other}: only one's data become the set's",
                first.host, second.host
            ),
            "decide which data are kept, and empty the data directories of the others by hand",
        );
    }
    let hosts: Vec<&str> = unproven.iter().map(|(member, _)| member.host.as_str()).collect();
    let others = match found.first() {
        Some((member, what)) => format!("{} holds {what}, and its data become", member.host),
        None => "only one's data become".to_owned(),
    };
    let why = unproven.last().map_or("", |(_, why)| why);
    let refusal = not_initiated(
        format!(
            "{} may hold data, and {others} the set's: {why}",
            hosts.join(", ")
        ),
        "start mongod there without replication.replSetName and look with show dbs; empty the data directories that hold \
         nothing of worth, or name each such host in an override",
    );
    match unproven.last() {
        Some((last, _)) => Box::new(refusal.unless_allowed(DISCARD, last.host)),
        None => refusal,
    }
}

fn not_initiated(why: String, resolve: &str) -> Box<Refusal> {
    Box::new(Refusal::new("the set is not initiated", why, resolve))
}

fn task(view: &View<'_>, seed: &Member<'_>) -> Task {
    let (settings, host) = (view.settings, seed.host);
    let config = initial_config(view, host);
    let none = "no host has a set's configuration";
    let reason = match stored_data(seed) {
        StoredData::Found(what) => format!("{none}, and {host} holds {what}"),
        StoredData::Unproven(_) => format!("{none}, and {host} alone may hold data"),
        StoredData::Nothing => none.to_owned(),
    };
    let title = match config.members().len() {
        1 => format!("initiate the set {}", settings.replica_set),
        _ => format!(
            "initiate the set {}, with {host} as its first voting member",
            settings.replica_set
        ),
    };
    let only_if = is_in_no_set(settings, host);
    let task = command_task(host, title, reason, initiate(view, seed, &config), only_if, LIMIT)
        .gate(gates::primary(settings, host));
    let server = seed.server.up();
    let is_known = server.is_some_and(|server| server.known_admin(settings).is_some());
    if settings.admin.is_none() || is_known {
        // A new primary writes its term into the configuration; before that is committed, none follows.
        return task.gate(gates::committed(view, 1));
    }
    task
}
