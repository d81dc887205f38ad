//! The step `reload`: clusters, macros and users are taken at run time.
//!
//! The server reads its files again every two seconds by itself (18.16 and later); saying so makes it happen now, and the
//! gate makes sure that it did: where a name does not resolve, 18.16 is left without the whole cluster. So each member that
//! serves has its files in its own turn.

use plan::Preview;
use protocol::Operation;
use protocol::facts::HttpRequest;
use types::HostName;

use crate::checks;
use crate::observe::server::replies::Live;
use crate::observe::view::View;
use crate::rules::need::{files_at_run_time, starts};
use crate::rules::server::health::lacks;
use crate::settings::Settings;
use kit::{Cx, QUICK, StepPlan, Task, action};

const RELOAD: &str = "SYSTEM RELOAD CONFIG";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    for host in cx.hosts.iter().filter(|host| !starts(cx, host, &settings.unit)) {
        let live = view.member(host).and_then(|member| member.server.up());
        let Some((live, reason)) = live.and_then(|live| Some((live, reason(settings, host, live, cx)?)))
        else {
            continue;
        };
        let operation = Operation::Http {
            at: live.at.clone(),
            requests: vec![HttpRequest::post("/", RELOAD)],
            again_on: Vec::new(),
        };
        plan.tasks.push(
            Task::new(host, "reload its configuration", reason, action(operation, QUICK))
                .preview(Preview::Commands(vec![RELOAD.to_owned()]))
                .takes(files_at_run_time(settings))
                .gate(checks::loaded(settings, cx, host)),
        );
    }
    plan
}

fn reason(settings: &Settings, host: &HostName, live: &Live, cx: &Cx<'_>) -> Option<String> {
    let mut files = files_at_run_time(settings).into_iter();
    match files.find(|path| cx.writes(host, path)) {
        Some(path) => Some(format!("{path} changes")),
        None => lacks(settings, host, live),
    }
}
