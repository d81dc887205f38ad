//! The step `start`: servers run.
//!
//! Where no cluster is formed yet, all are started at once: Keeper's quorum comes up together or not at all.

use plan::Level;

use crate::checks;
use crate::observe::server::replies::Live;
use crate::observe::view::View;
use crate::rules::availability::is_only_missed;
use crate::rules::coordination::interim_membership;
use crate::settings::Settings;
use crate::steps::servers::{self, is_formed, joins, needs, start_late};
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    if start_late(&quorum) {
        return plan;
    }
    let is_formed = is_formed(&quorum);
    let needs = needs(&quorum, cx, &mut plan);
    let others_restart = is_formed && needs.iter().any(|(_, need)| need.restarts());
    for (host, need) in needs {
        if need.restarts() && is_formed {
            continue;
        }
        let live = view.member(host).and_then(|member| member.server.up());
        if need.restarts() && live.is_some_and(Live::has_tables) {
            let text = "it is restarted, and holds replicated tables: its clients are interrupted";
            plan.note(Level::Warning, Some(host), text);
        }
        // A new Keeper follows only once the others have learned of it.
        let gate = if others_restart && joins(&quorum, host) {
            checks::loaded(settings, cx, host)
        } else {
            checks::serving(settings, cx, host)
        };
        let revives = need.starts() && is_only_missed(&quorum, host);
        let task = servers::task(settings, host, &need);
        plan.tasks.push(task.disrupting(revives).gate(gate));
    }
    plan
}
