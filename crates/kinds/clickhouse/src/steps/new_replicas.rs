//! The step `new-replicas`: a member that joins, or was rebuilt, gets the databases and tables that the others have.
//!
//! It comes before the services that use the cluster are told of the member, and waits until the data is there.

use plan::{Level, Preview};
use protocol::Operation;

use crate::checks;
use crate::observe::server::queries::endpoints;
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
        let statements = requests.iter().map(|request| request.body.to_string()).collect();
        let operation = Operation::Http {
            at,
            requests,
            again_on: vec![SESSION_OVER.to_owned()],
        };
        let title = format!("make the tables of the other members ({tables})");
        let task = Task::new(host, title, "it is a new replica", action(operation, LIMIT));
        let task = task.preview(Preview::Commands(statements));
        let task = task.before(checks::sessions(settings, cx, host));
        plan.tasks.push(task.gate(checks::fetched(settings, cx, host)));
    }
    plan
}
