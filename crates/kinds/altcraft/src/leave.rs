//! The step `leave`: hosts go that are none of the platform's any more.
//!
//! They serve to the end, except that one that has the role of the master gives it up first (the step `restart`). The platform
//! keeps nothing of its own on a host, so nothing has to be proven but that the others serve without it.

use plan::Level;
use protocol::{Operation, UnitVerb};
use types::HostName;

use super::health;
use super::settings::Settings;
use super::view::View;
use kit::{Cx, StepPlan, Task};
use kit::{UNIT, action};

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for former in view.formers() {
        let host: &HostName = former.host;
        if let Some(why) = former.unreachable {
            let text = format!(
                "it is no host of this service any more, and cannot be reached: what runs there is stopped by the next plan that \
                 sees it ({why})"
            );
            all.note(Level::Warning, Some(host), text);
            continue;
        }
        if !cx.others.contains(host) {
            continue;
        }
        for run in &former.runs {
            let is_on = |unit: &&protocol::facts::UnitFact| unit.is_active() || unit.is_enabled();
            if !run.unit.as_ref().is_ok_and(is_on) {
                continue;
            }
            let operation = Operation::Unit {
                name: run.process.unit.clone(),
                verbs: vec![UnitVerb::Disable, UnitVerb::Stop],
            };
            let task = Task::new(
                host,
                format!("disable and stop {}; {} stays", run.process.unit, settings.config),
                "it is no host of this service any more",
                action(operation, UNIT),
            );
            let members = cx.hosts.iter().collect();
            let gate = health::others_serve(settings, host, &members);
            all.tasks.push(task.part(run.process.name).before(gate));
        }
    }
    all
}
