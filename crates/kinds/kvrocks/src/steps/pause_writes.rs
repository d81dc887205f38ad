//! Holding back the writes of the master's clients while Sentinel hands its role over.
//!
//! Sentinel promotes a replica without asking the master. The old master goes on as one until Sentinel makes it a
//! replica, 11 s later, and whatever it took meanwhile is gone then; what `WAIT 1` acknowledges too, as long as another
//! replica still follows it, 1 s (ran, Redis 7.0.15 under load: 150 of 3090 acknowledged writes lost). So its clients'
//! writes wait from before the failover until its end (`CLIENT PAUSE`, <https://redis.io/docs/latest/commands/client-pause/>);
//! a client that asks Sentinel after its own time limit finds the new master after a second. The pause ends by itself,
//! so a run that is cut off leaves nothing behind.
//!
//! Sentinel's own PUBLISH waits as well, and with it all that Sentinel asks the old master on that connection: it is
//! made a replica at the moment when the pause ends (ran).

use ::plan::{Level, Preview};
use protocol::facts::RespCommand;
use protocol::{Action, Operation};

use crate::checks;
use crate::observe::view::{Member, View};
use crate::rules::preconditions::{Role, has_role};
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// Longer than Sentinel takes to see for certain that the old master still takes itself for one: some 10 s after the
/// failover. Shorter than `down-after-milliseconds`, 30 s by default, because Sentinel's pings wait too.
const PAUSE_MS: &str = "15000";

/// The task; a note where the engine cannot.
pub(crate) fn plan(view: &View<'_>, cx: &Cx<'_>, master: &Member<'_>, all: &mut StepPlan) -> Option<Task> {
    let (settings, host) = (view.settings, master.host);
    let engine = master.engine.up();
    let Some(engine) = engine.filter(|engine| engine.tells_role && settings.engine.pauses_writes()) else {
        let text = format!(
            "what {host}'s clients write during the failover may be lost, until they ask Sentinel for the new master: \
             {} cannot hold writes back",
            settings.engine.without_pause()
        );
        all.note(Level::Warning, Some(host), text);
        return None;
    };
    let (address, port) = engine.at.clone();
    let action = Action {
        only_if: vec![has_role(settings, host, engine, Role::Master)],
        operation: Operation::Resp {
            address,
            port,
            password: Some(settings.password.clone()),
            commands: vec![RespCommand::new(["CLIENT", "PAUSE", PAUSE_MS, "WRITE"])],
        },
        limit_ms: QUICK,
    };
    let reason = "what it takes after the failover has begun would be lost";
    let title = "hold back the writes of clients for 15 s".to_owned();
    Some(
        Task::new(host, title, reason, action)
            .part("hold")
            .preview(Preview::Commands(vec![format!("CLIENT PAUSE {PAUSE_MS} WRITE")]))
            .gate(checks::replicas_level(view, cx, host)),
    )
}
