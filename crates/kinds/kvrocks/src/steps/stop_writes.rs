//! A stop of clients' writes to the master, before a failover.
//!
//! Sentinel promotes a replica without asking the master. The old master goes on as one until Sentinel makes it a replica,
//! 11 s later, and its writes meanwhile are lost then; what `WAIT 1` acknowledges too, as long as another replica still
//! follows it, 1 s (ran, Redis 7.0.15 under load: 150 of 3090 acknowledged writes lost; Kvrocks 2.6: 11,040 of 30,077). So
//! the master takes no writes from before the failover until it is a replica; its clients find the new master.
//!
//! Redis and Valkey pause them (`CLIENT PAUSE`, <https://redis.io/docs/latest/commands/client-pause/>), which ends by
//! itself. Sentinel's own PUBLISH waits as well, and with it all that Sentinel asks the old master on that connection, so
//! that it would become a replica only when the pause ends, and a write that waited for that comes first (ran: 1 of 9858
//! lost). So it is made one by us as soon as the sentinels agree: [`super::failover`].
//!
//! Kvrocks has no such pause. It is made a replica of nobody: SLAVEOF runs alone (`exclusive` in `cmd_server.cc`), so every
//! write before it is in its log, and each one after it is refused (READONLY); links of its replicas stay, and bring them
//! the rest (`Server::AddMaster` ends none). Where a run dies then, Sentinel takes a master that reports the role replica
//! for down after `down-after-milliseconds` and 20 s (`sentinelCheckSubjectivelyDown`), and elects another.

use plan::{Level, Preview};
use protocol::facts::RespCommand;

use crate::checks;
use crate::observe::{Engine, Member, NOBODY, View};
use crate::rules::commands::to_engine;
use crate::rules::preconditions::{Role, has_role};
use formats::engine::Engine as Kind;
use kit::{Cx, QUICK, StepPlan, Task, action};

/// Time enough for a failover, some 3 s, and shorter than `down-after-milliseconds`, 30 s by default, because Sentinel's
/// pings wait too.
const PAUSE_MS: &str = "15000";

/// The task; a note where the engine cannot do that.
pub(super) fn plan(
    view: &View<'_>,
    cx: &Cx<'_>,
    master: &Member<'_>,
    engine: &Engine,
    all: &mut StepPlan,
) -> Option<Task> {
    let (settings, host) = (view.settings, master.host);
    let (title, words) = match settings.engine {
        Kind::Kvrocks => {
            let title = "make it a replica of nobody, so that it takes no more writes";
            (title, vec!["SLAVEOF", NOBODY.0, NOBODY.1])
        }
        Kind::Redis | Kind::Valkey if engine.tells_role => {
            let title = "pause the writes of clients for 15 s";
            (title, vec!["CLIENT", "PAUSE", PAUSE_MS, "WRITE"])
        }
        Kind::Redis | Kind::Valkey => {
            let text = format!(
                "writes of {host}'s clients during the failover may be lost, until they ask Sentinel for the new master: Redis \
                 before 7.0 cannot pause writes"
            );
            all.note(Level::Warning, Some(host), text);
            return None;
        }
    };
    let shown = words.join(" ");
    let action = action(to_engine(settings, engine, vec![RespCommand::new(words)]), QUICK);
    let reason = "writes after the failover has begun would be lost";
    let is_master = engine
        .tells_role
        .then(|| has_role(settings, host, engine, Role::Master));
    let task = Task::new(host, title, reason, action)
        .part("hold")
        .only_if(is_master)
        .preview(Preview::Commands(vec![shown]))
        .gate(checks::replicas_level(view, cx, host));
    Some(task)
}
