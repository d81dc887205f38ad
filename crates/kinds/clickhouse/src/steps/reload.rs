//! The step `reload`: clusters, macros and users are taken at run time.
//!
//! The server looks at its files every two seconds by itself (18.16 and later); saying so makes it happen now, and the
//! gate makes sure that it did: where a name does not resolve, 18.16 is left without the whole cluster.

use plan::Preview;
use protocol::facts::HttpRequest;
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::checks as gates;
use crate::observe::server::{self as view, Live};
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

const RELOAD: &str = "SYSTEM RELOAD CONFIG";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        let starts = [UnitVerb::Start, UnitVerb::Restart]
            .iter()
            .any(|&verb| cx.tells(host, &settings.unit, verb));
        let talk = view::talk(settings, host, cx.facts);
        let Some(live) = talk.up().filter(|_| !starts) else {
            continue;
        };
        let Some(reason) = reason(settings, host, live, cx) else {
            continue;
        };
        let operation = Operation::Http {
            at: live.at.clone(),
            requests: vec![HttpRequest::post("/", RELOAD)],
        };
        plan.tasks.push(
            Task::new(host, "reload its configuration", reason, action(operation, QUICK))
                .preview(Preview::Commands(vec![RELOAD.to_owned()]))
                .gate(gates::loaded(settings, cx, host)),
        );
    }
    plan
}

fn reason(settings: &Settings, host: &HostName, live: &Live, cx: &Cx<'_>) -> Option<String> {
    let is_written = |path: &str| cx.writes(host, path);
    let files = ["clusters", "macros"].map(|name| settings.config_file(name));
    if let Some(path) = files
        .iter()
        .chain(&settings.users_file())
        .find(|path| is_written(path))
    {
        return Some(format!("{path} changes"));
    }
    lacks(settings, host, live)
}

/// What a running server has not taken from its files; `None` where nothing is missing.
pub(crate) fn lacks(settings: &Settings, host: &HostName, live: &Live) -> Option<String> {
    view::stale(settings, host, live).or_else(|| {
        let is_ours = settings.password.is_none() || live.at.account.is_some();
        (!is_ours).then(|| format!("the user {} cannot log in", settings.user))
    })
}
