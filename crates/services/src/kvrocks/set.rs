//! The step `set`: what the running engine takes without a restart.
//!
//! `masterauth` comes before `requirepass`, on all members: a master that begins to ask for a password must not meet a
//! replica that has none. Connections that were made before stay as they are
//! (<https://redis.io/docs/latest/commands/auth/>).

use plan::{Level, Preview};
use protocol::facts::{Query, RespCommand, RespQuery, RespValue};
use protocol::{Action, Operation, Precondition};

use super::drift::{Drift, drifts};
use super::fate::{Fate, fate};
use super::queries::config_get;
use super::roles::Roles;
use super::servers::{Engine, replies};
use super::settings::Settings;
use super::view::{Member, View};
use crate::common::QUICK;
use crate::step::{Cx, StepPlan, Task};

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    if !matches!(roles, Roles::Known { .. }) {
        // A node without a role is restarted in any case.
        return all;
    }
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        let Some(engine) = member.engine.up() else {
            continue;
        };
        if !matches!(fate(&view, &roles, member, cx), Fate::Master | Fate::Replica) {
            continue;
        }
        let found = match drifts(settings, member, engine) {
            Ok(found) => found,
            Err(why) => {
                all.unplanned.push((host.clone(), why));
                continue;
            }
        };
        let settable = found.into_iter().filter(|drift| drift.is_settable);
        let (requirepass, others): (Vec<Drift>, Vec<Drift>) =
            settable.partition(|drift| drift.wanted.key == "requirepass");
        first.extend(task(settings, member, engine, "", &others));
        if let Some(task) = task(settings, member, engine, "requirepass", &requirepass) {
            last.push(task);
            all.note(
                Level::Warning,
                Some(host),
                "clients must authenticate from now on; connections that are open stay open",
            );
        }
    }
    all.tasks = first;
    all.tasks.extend(last);
    all
}

fn task(
    settings: &Settings,
    member: &Member<'_>,
    engine: &Engine,
    name: &str,
    drifts: &[Drift],
) -> Option<Task> {
    if drifts.is_empty() {
        return None;
    }
    let (at, port) = engine.at.clone();
    let keys: Vec<&str> = drifts.iter().map(|drift| drift.wanted.key.as_str()).collect();
    let set = |drift: &Drift| {
        RespCommand::new([
            "CONFIG".to_owned(),
            "SET".to_owned(),
            drift.wanted.key.clone(),
            drift.argument(),
        ])
    };
    let shown = drifts
        .iter()
        .map(|drift| format!("CONFIG SET {} \"{}\"", drift.wanted.key, drift.argument()));
    let reasons: Vec<String> = drifts.iter().map(Drift::describe).collect();
    // What the process runs with when it is set is what it ran with when this was planned.
    let was = drifts.iter().map(|drift| {
        let values = drift
            .live
            .iter()
            .map(|value| RespValue::Str(value.as_str().into()));
        let mut pair = vec![RespValue::Str(drift.wanted.key.as_str().into())];
        pair.extend(values);
        RespValue::List(pair)
    });
    let only_if = Precondition {
        what: format!("{} still runs with the old {}", member.host, keys.join(", ")),
        query: RespQuery {
            address: at.clone(),
            port,
            password: Some(settings.password.clone()),
            commands: keys.iter().map(|key| config_get(settings, key)).collect(),
        }
        .wrap(),
        fact: replies(engine.authenticated, was.collect()),
    };
    let action = Action {
        only_if: vec![only_if],
        operation: Operation::Resp {
            address: at,
            port,
            password: Some(settings.password.clone()),
            commands: drifts.iter().map(set).collect(),
        },
        limit_ms: QUICK,
    };
    let title = format!(
        "set {} in the running {}",
        keys.join(", "),
        settings.engine.name()
    );
    Some(
        Task::new(member.host, title, reasons.join("; "), action)
            .part(name)
            .preview(Preview::Commands(shown.collect())),
    )
}
