//! A pause of clients' writes to the master during a failover.
//!
//! Sentinel promotes a replica without asking the master. The old master goes on as one until Sentinel makes it a replica,
//! 11 s later, and its writes meanwhile are lost then; what `WAIT 1` acknowledges too, as long as another replica still
//! follows it, 1 s (ran, Redis 7.0.15 under load: 150 of 3090 acknowledged writes lost). So its clients' writes are paused
//! from before the failover until its end (`CLIENT PAUSE`, <https://redis.io/docs/latest/commands/client-pause/>); a client
//! that asks Sentinel after its own time limit finds the new master after a second. The pause ends by itself, so a run that
//! is cut off leaves nothing behind.
//!
//! Sentinel's own PUBLISH waits as well, and with it all that Sentinel asks the old master on that connection: it becomes a
//! replica at the moment when the pause ends (ran).

use plan::{Level, Preview};
use protocol::facts::RespCommand;

use crate::checks;
use crate::observe::{Member, View};
use crate::rules::commands::to_engine;
use crate::rules::preconditions::{Role, has_role};
use kit::{Cx, QUICK, StepPlan, Task, action};

/// Longer than Sentinel takes to see for certain that the old master still reports the role master: some 10 s after the
/// failover. Shorter than `down-after-milliseconds`, 30 s by default, because Sentinel's pings wait too.
const PAUSE_MS: &str = "15000";

/// The task; a note where the engine cannot pause writes.
pub(super) fn plan(view: &View<'_>, cx: &Cx<'_>, master: &Member<'_>, all: &mut StepPlan) -> Option<Task> {
    let (settings, host) = (view.settings, master.host);
    let engine = master.engine.up();
    let Some(engine) = engine.filter(|engine| engine.tells_role && settings.engine.pauses_writes()) else {
        let text = format!(
            "writes of {host}'s clients during the failover may be lost, until they ask Sentinel for the new master: {} \
             cannot pause writes",
            settings.engine.without_pause()
        );
        all.note(Level::Warning, Some(host), text);
        return None;
    };
    let command = RespCommand::new(["CLIENT", "PAUSE", PAUSE_MS, "WRITE"]);
    let action = action(to_engine(settings, engine, vec![command]), QUICK);
    let reason = "writes after the failover has begun would be lost";
    let task = Task::new(host, "pause the writes of clients for 15 s", reason, action)
        .part("hold")
        .only_if([has_role(settings, host, engine, Role::Master)])
        .preview(Preview::Commands(vec![format!("CLIENT PAUSE {PAUSE_MS} WRITE")]))
        .gate(checks::replicas_level(view, cx, host));
    Some(task)
}
