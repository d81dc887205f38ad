//! The step `leave`: the processes of former members are stopped for good.
//!
//! They serve until then, except that a master gives its role up first (the step `restart`). The platform keeps no data on a
//! host, so no other proof is needed than that the others serve without it.

use plan::Level;

use crate::checks;
use crate::observe::View;
use crate::rules::membership::former;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

const REASON: &str = "it is no host of this service any more";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in former(&view) {
        let host = member.host;
        if let Some(why) = member.unreachable {
            let text = format!(
                "{REASON}, and cannot be reached: its processes are stopped by the next plan that reaches it ({why})"
            );
            all.note(Level::Warning, Some(host), text);
            continue;
        }
        if !cx.others.contains(host) {
            continue;
        }
        for run in &member.runs {
            let task = run
                .unit
                .as_ref()
                .ok()
                .and_then(|unit| run.unit_process(settings).retire(unit, REASON));
            let Some(mut task) = task else {
                continue;
            };
            task.title = format!("{}; {} stays", task.title, settings.config);
            let gate = checks::others_serve(settings, host, &cx.hosts.iter().collect());
            all.tasks.push(task.part(run.process.program.name()).before(gate));
        }
    }
    all
}
