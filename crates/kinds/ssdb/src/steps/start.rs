//! The step `start`: servers that serve nobody are started at once, side by side.

use plan::Level;
use protocol::{FileChange, FileState, UnitVerb};

use crate::checks::Check;
use crate::observe::{Member, View, queries};
use crate::rules::need::{How, Need, need};
use crate::rules::unit_tasks::{after_change, refill};
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.on(cx.hosts) {
        match need(&view, member, cx) {
            Ok(Some(need)) => start(&view, member, &need, &mut all),
            Ok(None) => {}
            Err(why) => all.unplanned.push((member.host.clone(), why)),
        }
    }
    let departing = view.departing().filter(|former| cx.others.contains(former.host));
    for former in departing.filter(|former| view.is_to_start(former)) {
        let why = "it is to leave and does not run, and members may lack what clients wrote there";
        let need = Need::new(How::Start, vec![UnitVerb::Start], why);
        start(&view, former, &need, &mut all);
    }
    all
}

fn start(view: &View<'_>, member: &Member<'_>, need: &Need, all: &mut StepPlan) {
    let (settings, host) = (view.settings, member.host);
    // Of the others nothing is asked before all are started.
    let gate = Check::Answers.gate(settings, host, &[host], settings.start_timeout);
    let task = match need.how {
        How::Start => {
            if member.is_active() && view.serves(member) {
                let text =
                    "all members are restarted at the same time: none serves until they are linked again";
                all.note(Level::Warning, Some(host), text);
            }
            let task = match stale_pid_file(settings, member) {
                Some(change) => after_change(settings, member, need, change),
                None => member.process(settings).task(&need.unit),
            };
            Some(task.gate(gate))
        }
        How::StartEmpty => Some(refill(settings, member, need).gate(gate)),
        How::Quiet => Some(member.process(settings).task(&need.unit)),
        How::Roll | How::Reconnect | How::Last | How::Refill | How::Overtake => None,
    };
    all.tasks.extend(task);
}

/// A killed server leaves its pid file where its file names one, and does not start while that is there (seen).
fn stale_pid_file(settings: &Settings, member: &Member<'_>) -> Option<FileChange> {
    let is_stale = member.pid_file != FileState::Absent && !member.is_active();
    is_stale.then(|| FileChange::Remove {
        path: queries::pid_file(settings).path,
        was: member.pid_file.clone(),
    })
}
