//! The failover: Sentinel is told to make another member the master, once every replica has caught up, while writes are
//! paused.

use protocol::facts::RespCommand;

use super::pause_writes;
use crate::checks;
use crate::observe::{Member, View};
use crate::rules::commands::to_sentinel;
use crate::rules::preconditions::same_master;
use kit::{Cx, StepPlan, Task};

/// Plans it: `sentinel` is asked to make a replica the master in place of `master`, and all follow the new one in the end.
pub(crate) fn plan(
    view: &View<'_>,
    cx: &Cx<'_>,
    master: &Member<'_>,
    sentinel: &Member<'_>,
    reason: &str,
    all: &mut StepPlan,
) {
    let (settings, host) = (view.settings, master.host);
    let command = RespCommand::new(["SENTINEL", "FAILOVER", &settings.sentinel.master_name]);
    let title = format!("fail over from {host} to a replica");
    let failover = to_sentinel(settings, sentinel.host, title, reason, vec![command])
        .part("failover")
        .only_if(same_master(view, host, sentinel.host, sentinel))
        .gate(checks::new_master(view, cx, host))
        .gate(checks::followers(view, cx));
    let pause = pause_writes::plan(view, cx, master, all);
    // The wait comes before the pause, because the pause ends by itself.
    let mut tasks: Vec<Task> = pause.into_iter().chain([failover]).collect();
    if let Some(first) = tasks.first_mut() {
        first.before.push(checks::followers(view, cx));
    }
    all.tasks.extend(tasks);
}
