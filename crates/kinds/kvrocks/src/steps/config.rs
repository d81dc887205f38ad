//! The step `config`: the engine's file.
//!
//! The file is edited in place: our directives, those that the inventory names, and the first role of a member without one.
//! Everything else, comments included, stays, because the file belongs to the engine as well: CONFIG REWRITE changes it
//! after each failover, and Kvrocks keeps the tokens of its namespaces in it.

use plan::{Level, Unknown};
use protocol::Text;
use protocol::facts::FileMeta;

use super::{trial, umask};
use crate::observe::{Member, View, queries};
use crate::rules::desired_config::{desired, follow, over_any_file};
use crate::rules::drift::CLASSES;
use crate::rules::find_roles::find_roles;
use crate::rules::password::{cannot_follow, is_open};
use crate::rules::role_assignment::Assignment;
use crate::rules::roles::Roles;
use crate::settings::{Absent, Settings, owner};
use formats::directives::{Directives, same_setting};
use formats::engine::Engine;
use kit::{Cx, DesiredFile, StepPlan, Task, obstructed};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let all = plan_all(&view, &roles, cx, false);
    let why = roles.known().and_then(|_| cannot_follow(&view, cx, &all));
    let Some(why) = why else {
        return all;
    };
    // The running engines wait as well, in the step `set`.
    let mut waiting = plan_all(&view, &roles, cx, true);
    if waiting.tasks != all.tasks {
        let text = format!("no member that serves without a password begins to ask for one: {why}");
        waiting.note(Level::Warning, None, text);
    }
    waiting
}

/// Plans every member. Where `password_waits`, one that serves without a password does not ask for it after its next start
/// either.
fn plan_all(view: &View<'_>, roles: &Roles, cx: &Cx<'_>, password_waits: bool) -> StepPlan {
    let mut all = StepPlan::nothing();
    for member in view.on(cx) {
        let planned = plan_member(view, roles, member, cx, password_waits, &mut all);
        all.add(member.host, planned);
    }
    all
}

fn plan_member(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    cx: &Cx<'_>,
    password_waits: bool,
    all: &mut StepPlan,
) -> Result<Vec<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let file = member.file.as_ref().map_err(Unknown::to_string)?;
    if let Some(obstacle) = file.meta().and_then(FileMeta::obstacle) {
        all.refusals.push(obstructed(host, &settings.config, &obstacle));
        return Ok(Vec::new());
    }
    let (gets_role, starts) = match Assignment::of(view, roles, member, cx) {
        Assignment::Master | Assignment::Replica => (false, false),
        Assignment::Orphan => (true, false),
        Assignment::Joining | Assignment::OldMaster => (true, true),
        Assignment::Refused(refusal) => {
            all.refusals.push(*refusal);
            return Ok(Vec::new());
        }
        Assignment::Unknown(why) => return Err(why),
    };
    let comes_with_package = file.meta().is_none() && cx.installs(host, &settings.package);
    let text = match file.text() {
        Some(text) => text.as_str(),
        None => packaged(member, comes_with_package)?,
    };
    let before = Directives::parse(text, settings.engine);
    let password_waits = password_waits && !starts && is_open(member);
    let mut after = edited(member, before.clone(), password_waits)?;
    if gets_role {
        after.set(settings.engine.replica_directive(), &follow(view, roles)?);
    }
    let (user, group) = owner(&settings.owner);
    let file = DesiredFile {
        query: &queries::config(settings),
        text: Text::new(after.text()),
        mode: umask::MODE,
        owner: user,
        group,
    };
    let mut tasks = umask::plan(member, cx).map_err(|unknown| unknown.to_string())?;
    let Some(mut task) = file.plan(host, cx.facts).map_err(|unknown| unknown.to_string())? else {
        return Ok(tasks);
    };
    if comes_with_package {
        over_any_file(&mut task);
    } else if let Some(argv) = trial::argv(settings) {
        task = task.tried_by(argv);
    }
    if let (true, Some(master)) = (gets_role, roles.master()) {
        task.reason = format!("{}; it becomes a replica of {master}", task.reason);
    }
    note_reach(member, &before, &after, all);
    tasks.push(task);
    Ok(tasks)
}

/// The file that a package brings, which this plan installs.
fn packaged(member: &Member<'_>, comes_with_package: bool) -> Result<&'static str, String> {
    let Settings { engine, config, .. } = member.settings;
    if member.file.as_ref().is_ok_and(|file| file.meta().is_some()) {
        return Err(format!("{config} is not a text file"));
    }
    let base = engine.defaults().base;
    if !comes_with_package || base.is_empty() {
        let name = engine.name();
        return Err(format!(
            "{config} does not exist: install {name} first, and plan again"
        ));
    }
    Ok(base)
}

/// The file with the desired directives.
fn edited(member: &Member<'_>, mut file: Directives, password_waits: bool) -> Result<Directives, String> {
    let lets_all_in = |user: &&str| {
        let mut rules = user.split_whitespace();
        rules.any(|rule| rule.eq_ignore_ascii_case("nopass"))
    };
    let user = file.after(&["user", "default"]).pop();
    if !member.has_our_password("requirepass") || user.as_ref().is_some_and(lets_all_in) {
        // CONFIG REWRITE writes the default user out as well, after `requirepass`, and that line holds: a server that
        // had no password once would have none after its next start (ran). Without it `requirepass` makes the user.
        file.drop(&["user", "default"]);
    }
    for Absent { key, default } in &member.settings.absent {
        // CONFIG REWRITE of Kvrocks writes defaults too (recorded, 2.6).
        let says_default = |line: &str| default.is_some_and(|default| same_setting(key, line, default));
        let stays = member.settings.engine == Engine::Kvrocks && file.last(key).is_some_and(says_default);
        if !stays {
            file.remove(key);
        }
    }
    let mut directives = desired(member, &file).map_err(|unknown| unknown.to_string())?;
    directives.retain(|directive| !(password_waits && directive.key == "requirepass"));
    for directive in directives {
        if directive.key == CLASSES {
            file.set_classes(CLASSES, &directive.values);
        } else if Engine::adds_up(&directive.key) {
            file.set_all(&directive.key, &directive.values);
        } else if let [value] = directive.values.as_slice() {
            file.set(&directive.key, value);
        }
    }
    Ok(file)
}

/// Says which addresses become reachable, where `bind` changes.
fn note_reach(member: &Member<'_>, before: &Directives, after: &Directives, all: &mut StepPlan) {
    let (name, port) = (member.settings.engine.name(), member.settings.port);
    if let Some(bind) = after.last("bind")
        && before.last("bind") != Some(bind)
    {
        let text = format!("{name} will be reachable, with the password, on port {port} of {bind}");
        all.note(Level::Info, Some(member.host), text);
    }
}
