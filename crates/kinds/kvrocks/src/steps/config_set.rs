//! The step `set`: what the running engine accepts without a restart.
//!
//! `masterauth` comes before `requirepass`, on all members: a master that begins to ask for a password must not meet a
//! replica that has none. Connections that were made before stay as they are
//! (<https://redis.io/docs/latest/commands/auth/>). Replicas get a setting before the master does. Orphaned replicas are
//! reconfigured last.

use plan::{Level, Preview};
use protocol::facts::RespCommand;
use protocol::{Action, Precondition};

use crate::checks;
use crate::observe::queries::{config_get, of_engine};
use crate::observe::{Engine, Member, View};
use crate::rules::commands::to_engine;
use crate::rules::desired_config::follow;
use crate::rules::drift::{Drift, drifts};
use crate::rules::find_roles::find_roles;
use crate::rules::password::cannot_follow;
use crate::rules::preconditions::{Role, has_role, precondition, same_master};
use crate::rules::role_assignment::Assignment;
use crate::rules::roles::Roles;
use crate::settings::Settings;
use kit::{Cx, QUICK, StepPlan, Task, action};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    let Some(master) = roles.known() else {
        // A member without a role is restarted in any case.
        return all;
    };
    let mut members: Vec<&Member<'_>> = view.on(cx).collect();
    members.sort_by_key(|member| member.host == master);
    let (mut last, mut followers) = (Vec::new(), Vec::new());
    for member in members {
        let (Some(engine), host) = (member.engine.up(), member.host) else {
            continue;
        };
        match Assignment::of(&view, &roles, member, cx) {
            Assignment::Master | Assignment::Replica => {}
            Assignment::Orphan => match reconfigure(&view, &roles, member, engine, cx) {
                Ok(task) => followers.push(task),
                Err(why) => {
                    all.unplanned.push((host.clone(), why));
                    continue;
                }
            },
            _ => continue,
        }
        let found = match drifts(member, engine) {
            Ok(found) => found,
            Err(unknown) => {
                all.unplanned.push((host.clone(), unknown.to_string()));
                continue;
            }
        };
        let settable = found.into_iter().filter(|drift| drift.is_settable);
        let (requirepass, others): (Vec<Drift>, Vec<Drift>) =
            settable.partition(|drift| drift.key() == "requirepass");
        all.tasks.extend(set(member, engine, &others));
        if let Some(task) = set(member, engine, &requirepass) {
            last.push(task.part("requirepass"));
            let text = "clients must authenticate from now on; connections that are open stay open";
            all.note(Level::Warning, Some(host), text);
        }
    }
    if let Some(why) = cannot_follow(&view, cx, &all) {
        let waiting = last.drain(..).map(|task| (task.host, why.clone()));
        all.unplanned.extend(waiting);
    }
    all.tasks.extend(last.into_iter().chain(followers));
    all
}

/// Has a replica that no sentinel knows follow the master: it accepts that while it runs, as from Sentinel. Its file got
/// its role in the step `config`, for CONFIG REWRITE would undo what waits there for a restart.
fn reconfigure(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    engine: &Engine,
    cx: &Cx<'_>,
) -> Result<Task, String> {
    let (settings, host) = (view.settings, member.host);
    let master = roles.decided()?;
    let role = follow(view, roles)?;
    let word = settings.engine.replica_directive().to_uppercase();
    let words = std::iter::once(word.as_str()).chain(role.split_whitespace());
    let command = RespCommand::new(words);
    let watching = view.watching();
    let sentinel = watching.iter().find(|watch| watch.member.host != host);
    let same_master = sentinel.and_then(|watch| same_master(view, master, host, watch.member));
    let is_replica = engine
        .tells_role
        .then(|| has_role(settings, host, engine, Role::Replica));
    let title = format!("have it follow {master}");
    let reason = format!(
        "it follows {}, which is not the master, and no sentinel changes that soon",
        engine.follows()
    );
    let action = action(to_engine(settings, engine, vec![command]), QUICK);
    Ok(Task::new(host, title, reason, action)
        .part("role")
        .takes([settings.config.clone()])
        .only_if(same_master.into_iter().chain(is_replica))
        .preview(Preview::Commands(vec![format!("{word} {role}")]))
        .gate(checks::member_serving(view, cx, host, false)))
}

/// Sets directives, as long as the process runs with what this was planned on.
fn set(member: &Member<'_>, engine: &Engine, drifts: &[Drift]) -> Option<Task> {
    if drifts.is_empty() {
        return None;
    }
    let settings = member.settings;
    let keys: Vec<&str> = drifts.iter().map(Drift::key).collect();
    let set = |drift: &Drift| {
        let (key, argument) = (drift.key().to_owned(), drift.argument());
        RespCommand::new(["CONFIG".to_owned(), "SET".to_owned(), key, argument])
    };
    let shown = drifts
        .iter()
        .map(|drift| format!("CONFIG SET {} \"{}\"", drift.key(), drift.argument()));
    let reasons: Vec<String> = drifts.iter().map(Drift::describe).collect();
    let action = Action {
        only_if: vec![still_runs_with(member, engine, drifts)],
        operation: to_engine(settings, engine, drifts.iter().map(set).collect()),
        limit_ms: QUICK,
    };
    let title = format!(
        "set {} in the running {}",
        keys.join(", "),
        settings.engine.name()
    );
    let task = Task::new(member.host, title, reasons.join("; "), action).takes([settings.config.clone()]);
    Some(task.preview(Preview::Commands(shown.collect())))
}

fn still_runs_with(member: &Member<'_>, engine: &Engine, drifts: &[Drift]) -> Precondition {
    let settings = member.settings;
    let keys: Vec<&str> = drifts.iter().map(Drift::key).collect();
    let replies = keys.iter().filter_map(|key| engine.config_reply(key)).cloned();
    let commands = keys.iter().map(|key| config_get(settings, key)).collect();
    precondition(
        format!("{} still runs with the old {}", member.host, keys.join(", ")),
        &of_engine(settings, engine.at.clone(), commands),
        engine.authenticated,
        replies.collect(),
    )
}
