//! The step `sentinel-start`: sentinels run with the file that was seeded. One that knows the master is never restarted.

use std::collections::BTreeSet;

use plan::{Level, Unknown};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::checks;
use crate::observe::view::monitored_by_file;
use crate::observe::view::{Member, View, newer};
use crate::rules::role_assignment::is_stopped;
use crate::rules::roles::Roles;
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action, verbs_to_run};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let mut sentinels: BTreeSet<&HostName> = view.watching().iter().map(|(member, ..)| member.host).collect();
    let mut last = None;
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        let is_stopped = is_stopped(&view, &roles, member, cx);
        match start_host(&view, member, cx) {
            Ok(task) => {
                if !is_stopped && task.as_ref().is_some_and(|task| !task.gates.is_empty()) {
                    sentinels.insert(member.host);
                    last = Some(member.host);
                }
                all.tasks.extend(task);
            }
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
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

fn start_host(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let sentinel = &settings.sentinel;
    let is_written = cx.writes(host, &sentinel.config);
    let task = |verbs: Vec<UnitVerb>, word: &str, reason: &str| {
        let name = sentinel.unit.trim_end_matches(".service");
        let operation = Operation::Unit {
            name: sentinel.unit.clone(),
            verbs,
        };
        let task = Task::new(host, format!("{word} {name}"), reason, action(operation, UNIT));
        if word == "enable" {
            task
        } else {
            task.gate(checks::sentinel_knows(view, cx, host))
        }
    };
    if cx.installs(host, &sentinel.package) {
        let verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
        return Ok(Some(task(verbs, "restart", "its file is written by this plan")));
    }
    let unit = member.sentinel_unit.as_ref().map_err(Unknown::to_string)?;
    if !unit.exists() {
        return Err(format!("there is no unit {} on {host}", sentinel.unit));
    }
    let mut verbs = verbs_to_run(host, &sentinel.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    if cx.tells(host, &sentinel.unit, UnitVerb::Start) {
        // The step `restart` does so, before it disrupts anybody.
        verbs.retain(|verb| *verb != UnitVerb::Start);
        return Ok((!verbs.is_empty()).then(|| task(verbs, "enable", "it does not start at boot")));
    }
    if verbs.contains(&UnitVerb::Start) {
        return Ok(Some(task(verbs, "start", "it does not run")));
    }
    let knows = member
        .sentinel
        .up()
        .is_some_and(|sentinel| view.watched(sentinel).is_some());
    let is_newer = newer(&member.sentinel_file, &member.sentinel_unit);
    // A file that was seeded before names the master; one that Sentinel itself rewrote is newer than the process too.
    let is_seeded = member
        .sentinel_directives()
        .is_some_and(|directives| monitored_by_file(&directives, &sentinel.master_name).is_some());
    let wrote_itself = member
        .sentinel_directives()
        .is_some_and(|directives| !directives.after(&["sentinel", "myid"]).is_empty());
    if !is_written && is_seeded && (!is_newer || wrote_itself) && member.sentinel.up().is_none() {
        // It has read the file: one that is newer it wrote itself.
        let mut wait = task(Vec::new(), "wait for", "it was started, and does not answer yet");
        wait.action = None;
        return Ok(Some(wait));
    }
    if is_written || (!knows && is_newer && is_seeded) {
        verbs.push(UnitVerb::Restart);
        let reason = if is_written {
            "its file is written by this plan"
        } else {
            "its file names the master, and the running sentinel does not watch it"
        };
        return Ok(Some(task(verbs, "restart", reason)));
    }
    if verbs.is_empty() {
        return Ok(None);
    }
    Ok(Some(task(verbs, "enable", "it does not start at boot")))
}
