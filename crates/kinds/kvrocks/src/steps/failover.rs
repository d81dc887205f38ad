//! Handing the master's role over: Sentinel is told to, once every replica has caught up, while writes are held back.

use ::plan::Preview;
use protocol::facts::RespCommand;
use protocol::{Action, Operation};

use crate::checks;
use crate::observe::view::{Member, View};
use crate::rules::preconditions::same_master;
use crate::steps::pause_writes;
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// Plans it: `sentinel` is asked to let another take over from `master`, and all follow the new one in the end.
pub(crate) fn plan(
    view: &View<'_>,
    cx: &Cx<'_>,
    master: &Member<'_>,
    sentinel: &Member<'_>,
    reason: &str,
    all: &mut StepPlan,
) {
    let (settings, host) = (view.settings, master.host);
    let name = &settings.sentinel.master_name;
    let operation = Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: settings.sentinel.port,
        password: None,
        commands: vec![RespCommand::new(["SENTINEL", "FAILOVER", name])],
    };
    let failover = Action {
        only_if: same_master(view, host, sentinel.host, sentinel)
            .into_iter()
            .collect(),
        operation,
        limit_ms: QUICK,
    };
    let title = format!("let Sentinel hand the master's role of {host} to a replica");
    let failover = Task::new(sentinel.host, title, reason, failover)
        .part("failover")
        .preview(Preview::Commands(vec![format!("SENTINEL FAILOVER {name}")]))
        .gate(checks::new_master(view, cx, host))
        .gate(checks::followers(view, cx));
    let hold = pause_writes::plan(view, cx, master, all);
    // Waiting comes before writes are held back, for that has an end.
    let mut tasks: Vec<Task> = hold.into_iter().chain([failover]).collect();
    if let Some(first) = tasks.first_mut() {
        first.before.push(checks::followers(view, cx));
    }
    all.tasks.extend(tasks);
}
