//! The step `verify`: after changes, distributed DDL goes round once.
//!
//! A table is made on the whole cluster and dropped again, which proves the names, the quorum, the queue and every
//! server at once. It runs only in a plan that changes something of these, so that a plan without changes stays empty;
//! what a run that died has left behind is dropped by the next.

use plan::Preview;
use protocol::facts::{HttpEndpoint, HttpRequest};
use protocol::{Operation, UnitVerb};
use types::HostName;

use crate::checks as gates;
use crate::observe::queries::{self, CHECK_TABLE};
use crate::observe::server as view;
use crate::settings::Settings;
use kit::action;
use kit::{Cx, StepPlan, Task};

/// Time limit: the server itself waits 120 to 180 s for all hosts, and goes on in the background after that.
const LIMIT: u64 = 240_000;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    // With a host out of reach the statement would wait for it in vain.
    if cx.hosts.len() < settings.hosts.len() {
        return plan;
    }
    let Some(host) = cx.hosts.first() else {
        return plan;
    };
    let is_left = cx.hosts.iter().any(|host| {
        view::talk(settings, host, cx.facts)
            .up()
            .is_some_and(|live| live.has_check_table)
    });
    let changes = changes(settings, cx);
    let reason = match (changes, is_left) {
        (true, _) => "the cluster was changed by this plan",
        (false, true) => "a run that did not end left its table behind",
        (false, false) => return plan,
    };
    let cluster = &settings.cluster;
    let drop = format!("DROP TABLE IF EXISTS default.{CHECK_TABLE} ON CLUSTER {cluster}");
    let create = format!(
        "CREATE TABLE IF NOT EXISTS default.{CHECK_TABLE} ON CLUSTER {cluster} (n UInt8) ENGINE = Memory"
    );
    let statements = if changes { vec![create, drop] } else { vec![drop] };
    let title = if changes {
        "create and drop a table on the whole cluster"
    } else {
        "drop the table of a round trip"
    };
    let operation = Operation::Http {
        at: endpoint(settings, host),
        requests: statements
            .iter()
            .map(|sql| HttpRequest::post("/", sql.as_str()))
            .collect(),
    };
    let mut task =
        Task::new(host, title, reason, action(operation, LIMIT)).preview(Preview::Commands(statements));
    if !settings.members().is_empty() {
        task = task.gate(gates::quorum(settings, cx));
    }
    plan.tasks.push(task);
    plan
}

/// Where the server will be found when everything else was done: as our user, where we have one.
fn endpoint(settings: &Settings, host: &HostName) -> HttpEndpoint {
    let mut endpoints = queries::endpoints(settings, host);
    // Of each address the best account comes first; the last address is where it is to listen.
    let accounts = if settings.password.is_some() { 2 } else { 1 };
    endpoints.swap_remove(endpoints.len() - accounts)
}

/// Whether anything was planned that the cluster could fail after.
fn changes(settings: &Settings, cx: &Cx<'_>) -> bool {
    cx.hosts.iter().any(|host| {
        let starts = [UnitVerb::Start, UnitVerb::Restart].iter().any(|&verb| {
            cx.tells(host, &settings.unit, verb)
                || settings
                    .zookeeper()
                    .is_some_and(|zookeeper| cx.tells(host, &zookeeper.unit, verb))
        });
        let writes = ["clusters", "macros"]
            .iter()
            .any(|name| cx.writes(host, &settings.config_file(name)));
        starts || writes
    })
}
