//! Sentinels in a rolling change: those that are off and know the master are started before any member is disrupted, for
//! they vote; and where somebody asked for a restart of the service they are started anew one at a time, after the
//! engines. Nothing else restarts a sentinel: what it watches with is set while it runs.

use protocol::{Operation, UnitVerb};

use super::members::no_quorum;
use crate::checks;
use crate::observe::view::Member;
use crate::observe::view::monitored_by_file;
use crate::rules::rollout::Rollout;
use kit::{ASKED, StepPlan, Task};
use kit::{UNIT, action};

/// Starts those that are off, where others watch: their files name the master, which may have changed since, and they hear
/// of it.
pub(crate) fn start(run: &Rollout<'_, '_, '_>, all: &mut StepPlan) {
    if !run.roles.are_sentinels() {
        return;
    }
    let name = &run.settings.sentinel.master_name;
    for member in members(run) {
        let is_off = member
            .sentinel_unit
            .as_ref()
            .is_ok_and(|unit| unit.exists() && !unit.is_active());
        let is_seeded = member
            .sentinel_directives()
            .is_some_and(|directives| monitored_by_file(&directives, name).is_some());
        if is_off && is_seeded {
            let gate = checks::sentinel_knows(run.view, run.cx, member.host);
            let task = task(run, member, UnitVerb::Start, "it does not run");
            all.tasks.push(task.gate(gate));
        }
    }
}

/// Starts those anew that somebody asked to, one at a time.
pub(crate) fn restart(run: &Rollout<'_, '_, '_>, all: &mut StepPlan) {
    let unit = &run.settings.sentinel.unit;
    for member in members(run) {
        let watches = member
            .sentinel
            .up()
            .is_some_and(|sentinel| run.view.watched(sentinel).is_some());
        if !watches || !run.cx.asks_restart(member.host, unit) {
            continue;
        }
        if let Some(Err(why)) = run.quorum() {
            all.refusals.push(no_quorum(member.host, &why));
            continue;
        }
        let task = task(run, member, UnitVerb::Restart, ASKED)
            .disrupting(run.view.members.len() > 1)
            .gate(checks::sentinel_knows(run.view, run.cx, member.host))
            .gate(checks::sentinel_agrees(run.view, run.cx));
        all.tasks.push(task);
    }
}

/// The step's members on whose hosts nothing was refused.
fn members<'r>(run: &'r Rollout<'_, '_, '_>) -> impl Iterator<Item = &'r Member<'r>> {
    let hosts = run.cx.hosts.iter();
    hosts.filter_map(|host| run.view.member(host))
}

fn task(run: &Rollout<'_, '_, '_>, member: &Member<'_>, verb: UnitVerb, reason: &str) -> Task {
    let unit = &run.settings.sentinel.unit;
    let operation = Operation::Unit {
        name: unit.clone(),
        verbs: vec![verb],
    };
    let title = format!("{} {}", verb.as_str(), unit.trim_end_matches(".service"));
    Task::new(member.host, title, reason, action(operation, UNIT)).part("sentinel")
}
