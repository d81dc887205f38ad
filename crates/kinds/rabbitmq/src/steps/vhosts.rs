//! The step `vhosts`: the virtual hosts that the inventory names, or gives users permissions in, exist. Others are left
//! alone.

use crate::observe::View;
use crate::rules::commands::{ctl, run};
use crate::rules::contact::contact;
use crate::settings::Settings;
use kit::{Cx, QUICK, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    // The step `policies` says why there is no contact.
    let Ok(contact) = contact(&view, cx) else {
        return plan;
    };
    for vhost in contact.missing_vhosts(&view) {
        let commands = vec![ctl(&["add_vhost", "--", vhost])];
        let title = format!("make the virtual host {vhost}");
        let task = run(contact.host, title, "it is missing", commands, QUICK);
        plan.tasks.push(task.part(vhost.clone()));
    }
    plan
}
