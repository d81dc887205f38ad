//! The failover: Sentinel is told to make another member the master, once every replica has caught up and while the
//! master takes no writes; then the old master follows the new one.

use plan::Preview;
use protocol::Operation;
use protocol::facts::{RespCommand, RespQuery, THIS_HOST};

use super::{stop_writes, umask};
use crate::checks;
use crate::observe::queries::{master_address, of_engine};
use crate::observe::{Engine, Member, View};
use crate::rules::commands::to_sentinel;
use crate::rules::preconditions::same_master;
use formats::engine::Engine as Kind;
use kit::{Cx, QUICK, StepPlan, Task, action};

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
        .only_if(same_master(view, host, sentinel.host, sentinel));
    let engine = master.engine.up();
    let stop = engine.and_then(|engine| stop_writes::plan(view, cx, master, engine, all));
    let follow = engine.and_then(|engine| follow(view, master, engine, sentinel, stop.is_some()));
    let failover = if follow.is_some() {
        failover.gate(checks::promoted(view, cx, host))
    } else {
        failover
    };
    let mut tasks: Vec<Task> = stop.into_iter().chain([failover]).chain(follow).collect();
    // The wait comes before writes stop.
    if let Some(first) = tasks.first_mut() {
        first.before.push(checks::followers(view, cx));
    }
    if let Some(last) = tasks.last_mut() {
        last.gates
            .extend([checks::new_master(view, cx, host), checks::followers(view, cx)]);
    }
    all.tasks.extend(tasks);
    let departing = std::iter::once(master).filter(|master| !cx.hosts.contains(master.host));
    let members = view.on(cx).chain(departing);
    let again: Vec<Task> = members
        .filter_map(|member| {
            let planned = cx.earlier.iter().chain(&all.tasks);
            umask::after_failover(settings, member, planned)
        })
        .collect();
    all.tasks.extend(again);
}

/// Has the old master follow the new one at once: Sentinel would do so 10 s later, or when the pause of writes ends. Its file
/// says so too, for it is restarted next.
fn follow(
    view: &View<'_>,
    master: &Member<'_>,
    engine: &Engine,
    sentinel: &Member<'_>,
    is_stopped: bool,
) -> Option<Task> {
    let (settings, host) = (view.settings, master.host);
    let old = view.watch(sentinel)?.master.ip().to_owned();
    let at = if host == sentinel.host {
        THIS_HOST
    } else {
        sentinel.address()?
    };
    let mut commands = vec![RespCommand::new(["CONFIG", "REWRITE"])];
    if is_stopped && settings.engine != Kind::Kvrocks {
        // Writes that wait are refused from now on.
        commands.push(RespCommand::new(["CLIENT", "UNPAUSE"]));
    }
    let word = settings.engine.replica_directive().to_uppercase();
    let shown = commands.iter().map(|command| {
        let words: Vec<&str> = command.args.iter().map(protocol::Text::as_str).collect();
        words.join(" ")
    });
    let shown = std::iter::once(format!(
        "{word} (the new master, as the sentinel at {at} names it)"
    ))
    .chain(shown);
    let preview = Preview::Commands(shown.collect());
    let RespQuery {
        address,
        port,
        password,
        commands,
    } = of_engine(settings, engine.at.clone(), commands);
    let operation = Operation::FollowMaster {
        address,
        port,
        password,
        word,
        sentinel: master_address(settings, at),
        old,
        commands,
    };
    let reason = "writes to it would be lost from now on";
    let task = Task::new(
        host,
        "have the old master follow the new one",
        reason,
        action(operation, QUICK),
    );
    Some(task.part("follow").preview(preview))
}
