//! The step `sentinel-start`: sentinels run with the file that was seeded. One that knows the master is never restarted.

use std::collections::BTreeSet;

use plan::Level;
use protocol::UnitVerb;
use types::HostName;

use crate::checks;
use crate::observe::{Member, View};
use crate::rules::find_roles::find_roles;
use crate::rules::role_assignment::is_in_doubt;
use crate::settings::Settings;
use kit::{Cx, Need, Probe, Reason, StepPlan, Task, Undecided};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    let watching = view.watching();
    let mut sentinels: BTreeSet<&HostName> = watching.iter().map(|watch| watch.member.host).collect();
    let mut last = None;
    for member in view.on(cx) {
        let task = plan_member(&view, member, cx);
        let is_gated = matches!(&task, Ok(Some(task)) if !task.gates.is_empty());
        if is_gated && !is_in_doubt(&view, &roles, member, cx) {
            sentinels.insert(member.host);
            last = Some(member.host);
        }
        all.add(member.host, task);
    }
    let Some(host) = last else {
        return all;
    };
    let (running, quorum) = (sentinels.len(), settings.sentinel.quorum);
    if running < quorum {
        let text = format!(
            "{running} sentinels will run, and the quorum is {quorum}: no failover is possible until more do"
        );
        all.note(Level::Warning, None, text);
        return all;
    }
    // One more node waits for all of them together: none can agree before the last has started.
    let reason = "sentinels find each other and the replicas through the master";
    let gate = checks::sentinel_agrees(&view, cx);
    all.tasks
        .push(Task::wait(host, "wait until the sentinels agree", reason, gate).part("agree"));
    all
}

fn plan_member(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Task>, Undecided> {
    let (settings, host) = (view.settings, member.host);
    let process = settings.sentinel_process(host);
    let is_written = cx.writes(host, &settings.sentinel.config);
    let is_starting = !is_written && is_starting(member);
    let restart = || -> Result<Option<String>, Undecided> {
        Ok(if is_written {
            Some("its file is written by this plan".to_owned())
        } else {
            unread_file(view, member).filter(|_| !is_starting)
        })
    };
    let need = process.need(cx, restart)?;
    let need =
        need.and_then(|need| without_restart_step(need, cx.tells(host, process.unit, UnitVerb::Start)));
    let gate = checks::sentinel_knows(view, cx, host);
    Ok(match need {
        Some(need) if need.starts() => Some(process.task(&need).gate(gate)),
        _ if is_starting => {
            let title = format!("wait for {}", process.unit);
            Some(Task::wait(
                host,
                title,
                "it was started, and does not answer yet",
                gate,
            ))
        }
        need => need.map(|need| process.task(&need)),
    })
}

/// The need that remains after the step `restart`, which starts sentinels before it disrupts any member, and restarts
/// them on request.
fn without_restart_step(mut need: Need, is_started: bool) -> Option<Need> {
    if is_started || need.reason == Reason::Requested {
        need.verbs
            .retain(|verb| !matches!(verb, UnitVerb::Start | UnitVerb::Restart));
        need.reason = Reason::Disabled;
    }
    (!need.verbs.is_empty()).then_some(need)
}

/// Whether it runs, has read the file that names the master, and does not answer yet. A file that is newer than the
/// process was read too, where Sentinel wrote it itself.
fn is_starting(member: &Member<'_>) -> bool {
    let directives = member.sentinel_directives.as_ref();
    let wrote_itself = directives.is_some_and(|all| !all.after(&["sentinel", "myid"]).is_empty());
    member.sentinel_unit.as_ref().is_ok_and(|unit| unit.is_active())
        && matches!(member.sentinel, Probe::Unknown(_))
        && !member.has_foreign_sentinel
        && member.monitors_by_file().is_some()
        && (wrote_itself || !member.has_newer_sentinel_file())
}

/// Why a file that was seeded by an earlier run must be read. One that Sentinel itself rewrote is newer than the process
/// too, but then it watches the master.
fn unread_file(view: &View<'_>, member: &Member<'_>) -> Option<String> {
    let is_unread = member.sentinel.is_up()
        && view.watch(member).is_none()
        && member.has_newer_sentinel_file()
        && member.monitors_by_file().is_some();
    is_unread.then(|| "its file names the master, and the running sentinel does not watch it".to_owned())
}
