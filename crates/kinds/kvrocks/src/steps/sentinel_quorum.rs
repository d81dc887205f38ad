//! The step `sentinel-quorum`: a higher quorum, once the sentinels have started that it counts on.

use crate::checks;
use crate::observe::View;
use crate::rules::commands::{set, to_sentinel};
use crate::rules::find_roles::find_roles;
use crate::rules::role_assignment::is_in_doubt;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    let (watching, wanted) = (view.watching(), settings.sentinel.quorum);
    let is_new = |host| watching.iter().all(|watch| watch.member.host != host);
    let mut joining = view.on(cx).filter(|member| is_new(member.host));
    if joining.all(|member| is_in_doubt(&view, &roles, member, cx)) || wanted > cx.hosts.len() {
        return all;
    }
    let name = settings.sentinel.master_name.as_str();
    for watch in watching {
        let (host, live) = (watch.member.host, watch.master.get("quorum"));
        if cx.hosts.contains(host) && watch.has_low_quorum(settings) {
            let commands = vec![set(name, "quorum", &wanted.to_string())];
            let reason = format!("quorum is {live}, and more sentinels watch from now on");
            let title = "set the quorum of the running sentinel".to_owned();
            let task = to_sentinel(settings, host, title, reason, commands);
            all.tasks.push(task.before(checks::sentinel_agrees(&view, cx)));
        }
    }
    all
}
