//! The step `set`: what the running engine takes without a restart.
//!
//! `masterauth` comes before `requirepass`, on all members: a master that begins to ask for a password must not meet a
//! replica that has none. Connections that were made before stay as they are
//! (<https://redis.io/docs/latest/commands/auth/>).
//!
//! A newcomer that has begun to follow a master while another took its place is turned last of all.

use plan::{Level, Preview};
use protocol::facts::{Query, RespCommand, RespQuery, RespValue};
use protocol::{Action, Operation, Precondition};

use crate::checks;
use crate::observe::queries::config_get;
use crate::observe::replies::{Engine, replies};
use crate::observe::view::{Member, View};
use crate::rules::desired_config::follow;
use crate::rules::drift::{Drift, drifts};
use crate::rules::preconditions::{Role, has_role, same_master};
use crate::rules::role_assignment::{Fate, fate};
use crate::rules::roles::{Roles, endpoint};
use crate::settings::Settings;
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    let (mut first, mut last, mut turned) = (Vec::new(), Vec::new(), Vec::new());
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
        match fate(&view, &roles, member, cx) {
            Fate::Master | Fate::Replica => {}
            Fate::Astray => match turn(&view, &roles, member, cx) {
                Ok(task) => turned.push(task),
                Err(why) => {
                    all.unplanned.push((host.clone(), why));
                    continue;
                }
            },
            _ => continue,
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
    all.tasks.extend(turned);
    all
}

/// Has a replica that no sentinel knows follow the master: it takes that while it runs, as from Sentinel. Its file has got
/// its role by the step `config`, for CONFIG REWRITE would undo what waits there for a restart.
fn turn(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> Result<Task, String> {
    let (settings, host) = (view.settings, member.host);
    let engine = member.engine.up().ok_or("it does not answer")?;
    let master = roles.master().ok_or("the master is not known")?;
    let role = follow(view, roles)?;
    let word = settings.engine.replica_directive().to_uppercase();
    let words = std::iter::once(word.as_str()).chain(role.split_whitespace());
    let command = RespCommand::new(words);
    let sentinel = view.watching().into_iter().find(|(at, ..)| at.host != host);
    let mut only_if: Vec<Precondition> = sentinel
        .and_then(|(at, ..)| same_master(view, master, host, at))
        .into_iter()
        .collect();
    if engine.tells_role {
        only_if.push(has_role(settings, host, engine, Role::Replica));
    }
    let (address, port) = engine.at.clone();
    let action = Action {
        only_if,
        operation: Operation::Resp {
            address,
            port,
            password: Some(settings.password.clone()),
            commands: vec![command],
        },
        limit_ms: QUICK,
    };
    let followed = endpoint(engine.info("master_host"), engine.info("master_port"));
    let reason = format!("it follows {followed}, which is not the master, and no sentinel knows it");
    Ok(
        Task::new(host, format!("have it follow {master}"), reason, action)
            .part("role")
            .preview(Preview::Commands(vec![format!("{word} {role}")]))
            .gate(checks::member_serving(view, cx, host, false)),
    )
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
