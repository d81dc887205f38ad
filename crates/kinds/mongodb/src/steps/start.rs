//! The step `start`: servers that no client uses yet run, and run with what their files say.
//!
//! Members of the set that run are restarted by the step `restart`; here are those that are off, and those that are not
//! in the set yet, so all hosts may start at once.

use kit::{Cx, Need, StepPlan, Task, Undecided};
use plan::Level;

use crate::checks::gates;
use crate::observe::{Member, View};
use crate::rules::preconditions::is_still_down;
use crate::rules::process::{need, process};
use crate::rules::stored_data;
use crate::settings::Settings;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.listed_on(cx.hosts) {
        let host = member.host;
        match need(&view, member, cx) {
            Ok(Some(need)) => {
                if let Some(what) = stored_data::found(member).filter(|_| need.restarts()) {
                    let text = format!("it is restarted, and holds {what}: its clients are interrupted");
                    all.note(Level::Warning, Some(host), text);
                }
                all.tasks.push(task(&view, member, &need));
            }
            Ok(None) => {}
            Err(undecided) => {
                let resolve = match undecided {
                    Undecided::NoUnit { .. } => ": install MongoDB first",
                    Undecided::Unknown(_) => "",
                };
                all.unplanned
                    .push((host.clone(), format!("{undecided}{resolve}")));
            }
        }
    }
    all
}

fn task(view: &View<'_>, member: &Member<'_>, need: &Need) -> Task {
    let (settings, host) = (view.settings, member.host);
    // An old member comes back; others only have to be ready for the set.
    let is_known = view
        .config
        .as_ref()
        .is_some_and(|config| config.member(view.names.of(host)).is_some());
    let gate = if is_known && !member.server.is_up() {
        gates::available(view, host)
    } else {
        gates::answers(settings, host)
    };
    let still_down = is_still_down(settings, member).filter(|_| need.restarts());
    process(settings, host).task(need).only_if(still_down).gate(gate)
}
