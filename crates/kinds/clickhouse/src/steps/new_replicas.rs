//! The step `new-replicas`: a member that joins, or was rebuilt, gets the databases and tables that the others have.
//!
//! It comes before the services that use the cluster are told of the member, and waits until the data is there: a table of
//! ours marks a member until then, so that a run which dies meanwhile is gone on with.

use plan::{Level, Preview};
use protocol::Operation;
use protocol::facts::HttpRequest;

use crate::checks;
use crate::observe::server::queries::{JOINING_TABLE, endpoints};
use crate::observe::view::View;
use crate::rules::server::new_replica;
use crate::rules::server::schema_copy::SchemaCopy;
use crate::settings::Settings;
use crate::steps::replicas::CONSENT;
use crate::steps::verify::SESSION_OVER;
use kit::{Cx, StepPlan, Task, action};

/// Time limit: a replica is made empty, and fetches afterwards.
const LIMIT: u64 = 600_000;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    for host in cx.hosts {
        let lacking = match new_replica::lacking(&view, host, cx.is_allowed(CONSENT, host)) {
            Ok(Some(lacking)) => lacking,
            Ok(None) => continue,
            Err(why) => {
                plan.refusals.push(new_replica::refusal(host, why));
                continue;
            }
        };
        let SchemaCopy {
            requests,
            tables,
            by_hand,
        } = lacking.copy;
        if !by_hand.is_empty() {
            let text = format!("{} are not copied: make them by hand", by_hand.join(", "));
            plan.note(Level::Warning, Some(host), text);
        }
        // The best account comes first: our user is there when everything else was done.
        let Some(at) = endpoints(settings).into_iter().next() else {
            continue;
        };
        let send = |requests: Vec<HttpRequest>, title: String, reason: &str| {
            let statements = requests.iter().map(|request| request.body.to_string()).collect();
            let operation = Operation::Http {
                at: at.clone(),
                requests,
                again_on: vec![SESSION_OVER.to_owned()],
            };
            Task::new(host, title, reason, action(operation, LIMIT)).preview(Preview::Commands(statements))
        };
        if !requests.is_empty() {
            let title = format!("make the tables of the other members ({tables})");
            let task = send(requests, title, "it is a new replica");
            plan.tasks.push(task.before(checks::sessions(settings, cx, host)));
        }
        let drop = HttpRequest::post("/", format!("DROP TABLE IF EXISTS default.{JOINING_TABLE}"));
        let title = format!("drop default.{JOINING_TABLE}");
        let task = send(
            vec![drop],
            title,
            "it is a new replica until it has the data of its tables",
        );
        plan.tasks
            .push(task.part("joined").before(checks::fetched(settings, cx, host)));
    }
    plan
}
