//! The step `verify`: after changes, distributed DDL and a row go round once.
//!
//! A replicated table is made on the whole cluster, gets a row that every replica has to fetch, and is dropped again, which
//! proves the names, the quorum, the queue, every server, and that replicas reach each other on the interserver port. It runs only in a plan that changes something of these, so that a plan without changes stays empty;
//! the table that a run left behind when it died is dropped by the next.

use plan::Preview;
use protocol::Operation;
use protocol::facts::HttpRequest;

use crate::checks;
use crate::observe::server::queries::{CHECK_TABLE, endpoints};
use crate::observe::view::View;
use crate::rules::need::starts;
use crate::rules::server::config_xml;
use crate::settings::Settings;
use kit::{Cx, StepPlan, Task, action};

/// How the server answers whose session with the quorum is over (999, `KEEPER_EXCEPTION`): it opens another one for the next
/// request. What is sent here may be sent again, for nothing was done.
pub(super) const SESSION_OVER: &str = "Code: 999";

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
    let cluster = &settings.cluster;
    let view = View::new(settings, cx.facts);
    // A database of the engine Atomic drops a table, and what is registered of it, only minutes later otherwise (20.10).
    let is_atomic = config_xml::version_on(&view, host).is_some_and(|version| version >= (20, 11));
    let sync = if is_atomic { " SYNC" } else { "" };
    let statement = |sql: String| HttpRequest::post("/", sql);
    let drop = statement(format!(
        "DROP TABLE IF EXISTS default.{CHECK_TABLE} ON CLUSTER {cluster}{sync}"
    ));
    let create = statement(format!(
        "CREATE TABLE IF NOT EXISTS default.{CHECK_TABLE} ON CLUSTER {cluster} (d Date, n UInt8) \
         ENGINE = ReplicatedMergeTree('/clickhouse/tables/{CHECK_TABLE}/{{shard}}', '{{replica}}') \
         PARTITION BY toYYYYMM(d) ORDER BY n"
    ));
    // Acknowledged once so many replicas have it; the same row a second time is no other one.
    let replicas = settings.hosts.len();
    let insert = HttpRequest::post(
        format!("/?insert_quorum={replicas}&insert_quorum_timeout=60000"),
        format!("INSERT INTO default.{CHECK_TABLE} VALUES ('2000-01-01', 1)"),
    );
    let is_left = view.answering().any(|(_, live)| live.has_check_table);
    let (title, reason, requests) = if changes(settings, cx) {
        let title = "replicate a row in a table on the whole cluster";
        (
            title,
            "the cluster was changed by this plan",
            vec![create, insert, drop],
        )
    } else if is_left {
        let reason = "a run that did not end left its table behind";
        ("drop the table of a round trip", reason, vec![drop])
    } else {
        return plan;
    };
    let statements = requests.iter().map(|request| request.body.to_string()).collect();
    // The best account comes first: our user is there when everything else was done.
    let Some(at) = endpoints(settings).into_iter().next() else {
        return plan;
    };
    let operation = Operation::Http {
        at,
        requests,
        again_on: vec![SESSION_OVER.to_owned()],
    };
    let task = Task::new(host, title, reason, action(operation, LIMIT));
    let mut task = task.preview(Preview::Commands(statements));
    task = task.before(checks::sessions(settings, cx, host));
    if !settings.members().is_empty() {
        task = task.gate(checks::quorum(settings, cx));
    }
    plan.tasks.push(task);
    plan
}

/// Whether this plan changes something that the cluster could fail after.
fn changes(settings: &Settings, cx: &Cx<'_>) -> bool {
    let zookeeper = settings.zookeeper().map(|zookeeper| &zookeeper.unit);
    let files = ["clusters", "macros"].map(|name| settings.config_file(name));
    cx.hosts.iter().any(|host| {
        let mut units = [&settings.unit].into_iter().chain(zookeeper);
        units.any(|unit| starts(cx, host, unit)) || files.iter().any(|path| cx.writes(host, path))
    })
}
