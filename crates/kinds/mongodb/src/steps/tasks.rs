//! Tasks that several steps plan.

use kit::{QUICK, Task, UNIT, action};
use plan::Preview;
use protocol::facts::{Bson, MongoCommand};
use protocol::{Operation, Precondition};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::HERE;
use crate::observe::{Member, View};
use crate::rules::member_removal::DepartingMember;
use crate::rules::membership_change::{command_primary, reconfigure};
use crate::rules::preconditions::{is_committed, is_primary};
use crate::rules::process::process;
use crate::rules::reconfig_plan::{Change, Reconfig, WriteConcern};
use crate::settings::Settings;

/// Time limit of a change of the configuration: the primary waits for a majority.
const RECONFIG: u64 = 180_000;
/// How long the old primary does not stand for election, in seconds: its restart comes at once.
const STAND_BACK_S: i64 = 120;
/// How long it waits for a secondary to catch up before it steps down, in seconds.
const CATCH_UP_S: i64 = 60;

/// A change of the set, by its primary.
pub(super) fn change(view: &View<'_>, primary: &HostName, change: Change) -> Task {
    match change {
        Change::InitialSync(host) => {
            let title = format!("wait for the initial sync of {host}");
            let reason = "a member without the data must not vote";
            let gate = gates::has_data(view, &host);
            Task::wait(&host, title, reason, gate).part(format!("sync-{host}"))
        }
        Change::WriteConcern(concern) => {
            let (w, reason) = match concern {
                WriteConcern::One => (
                    Bson::from(1),
                    "the server requires one before an arbiter, and with so few members with data this is its default",
                ),
                WriteConcern::Majority => (
                    "majority".into(),
                    "an arbiter would weaken the default, and the server requires an explicit one",
                ),
            };
            let concern = Bson::doc([("w", w)]);
            let command = MongoCommand::new("setDefaultRWConcern", 1).with("defaultWriteConcern", concern);
            let operation = command_primary(view.settings, command);
            let only_if = is_primary(view.settings, primary);
            command_task(
                primary,
                "set the default write concern",
                reason,
                operation,
                only_if,
                QUICK,
            )
            .part("write-concern")
        }
        Change::Reconfig(reconfig) => self::reconfig(view, primary, reconfig),
    }
}

/// A change of the configuration, committed before the next.
pub(super) fn reconfig(view: &View<'_>, primary: &HostName, reconfig: Reconfig) -> Task {
    let Reconfig {
        from,
        to,
        title,
        reason,
    } = reconfig;
    let operation = reconfigure(view.settings, &to);
    let only_if = is_committed(view.settings, primary, &from);
    let task = command_task(primary, title, reason, operation, only_if, RECONFIG)
        .part(format!("version-{}", to.version()))
        .gate(gates::committed(view, to.version()));
    // A new primary writes its term into the configuration, and for a heartbeat that is not committed. What this plan wrote
    // itself is.
    let is_ours = from.term().is_some() && view.config.as_ref() != Some(&from);
    if is_ours {
        return task;
    }
    task.before(gates::committed(view, from.version()))
}

/// The operation by which a primary steps down.
pub(super) fn replica_set_step_down(settings: &Settings) -> Operation {
    let command =
        MongoCommand::new("replSetStepDown", STAND_BACK_S).with("secondaryCatchUpPeriodSecs", CATCH_UP_S);
    Operation::Mongo {
        address: HERE.to_owned(),
        port: settings.port,
        user: settings.admin.clone(),
        commands: vec![command],
        again_on: Vec::new(),
    }
}

/// The primary steps down, and another member takes over.
pub(super) fn step_down(view: &View<'_>, primary: &HostName, reason: String) -> Task {
    let title = format!("step down the primary {primary}");
    let operation = replica_set_step_down(view.settings);
    let only_if = is_primary(view.settings, primary);
    command_task(primary, title, reason, operation, only_if, UNIT)
        .part("step-down")
        .gate(gates::stepped_down(view, primary))
}

/// Repeats the proof that nothing is lost with a departing member, unless the operator consents.
pub(super) fn prove_again(view: &View<'_>, departing: &DepartingMember, task: Task) -> Task {
    if departing.is_allowed {
        return task;
    }
    task.before(gates::spared(view, &departing.name))
}

/// Stops and disables a server, as far as it is neither.
pub(super) fn stop(settings: &Settings, member: &Member<'_>, why: &str) -> Option<Task> {
    let unit = member.unit.as_ref().ok().filter(|unit| unit.exists())?;
    let reason = format!("{} {why}; its data stay where they are", member.host);
    let task = process(settings, member.host).retire(unit, reason)?;
    let preview = Preview::Commands(vec![format!("systemctl {}", task.title)]);
    Some(task.part("stop").preview(preview))
}

/// A task that sends commands to a server, under one precondition.
pub(super) fn command_task(
    host: &HostName,
    title: impl Into<String>,
    reason: impl Into<String>,
    operation: Operation,
    only_if: Precondition,
    limit_ms: u64,
) -> Task {
    let commands = match &operation {
        Operation::Mongo { commands, .. } => commands.as_slice(),
        _ => &[],
    };
    let preview = commands.iter().map(ToString::to_string).collect();
    Task::new(host, title, reason, action(operation, limit_ms))
        .only_if([only_if])
        .preview(Preview::Commands(preview))
}
