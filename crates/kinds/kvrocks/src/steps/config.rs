//! The step `config`: the engine's file.
//!
//! The file is edited in place: our directives, those that the inventory names, and the first role of a node that nobody
//! has a role for. Everything else, comments included, stays, for the file belongs to the engine as well: CONFIG REWRITE
//! changes it after each failover, and Kvrocks keeps the tokens of its namespaces in it.

use plan::{Level, Unknown};
use protocol::facts::FileMeta;
use protocol::{FileState, Operation, Text};

use crate::observe::queries;
use crate::observe::view::{Member, View};
use crate::rules::desired_config::{Wanted, follow, owner, wanted};
use crate::rules::role_assignment::{Fate, fate};
use crate::rules::roles::Roles;
use crate::settings::Settings;
use formats::directives::Directives;
use formats::engine::Engine;
use kit::DesiredFile;
use kit::{Cx, StepPlan, Task, obstructed};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        match plan_host(&view, &roles, member, cx, &mut all) {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    all
}

fn plan_host(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    cx: &Cx<'_>,
    all: &mut StepPlan,
) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let gets_role = match fate(view, roles, member, cx) {
        Fate::Master | Fate::Replica => false,
        Fate::Joins | Fate::Returns | Fate::Astray => true,
        Fate::Refused(refusal) => {
            all.refusals.push(*refusal);
            return Ok(None);
        }
        Fate::Unknown(why) => return Err(why),
    };
    let file = member.file.as_ref().map_err(Unknown::to_string)?;
    let base = settings.engine.defaults().base;
    let comes_with_package = file.meta().is_none() && cx.installs(host, &settings.package);
    if let Some(obstacle) = file.meta().and_then(FileMeta::obstacle) {
        all.refusals.push(obstructed(host, &settings.config, &obstacle));
        return Ok(None);
    }
    let text = match (file.text(), file.meta()) {
        (Some(text), _) => text.as_str(),
        (None, None) if comes_with_package && !base.is_empty() => base,
        (None, None) => {
            return Err(format!(
                "{} is not there: install {} first, and plan again",
                settings.config,
                settings.engine.name()
            ));
        }
        (None, Some(_)) => return Err(format!("{} is not a text file", settings.config)),
    };
    let mut directives = Directives::parse(text, settings.engine.has_aliases());
    let lets_all_in = |user: &&str| {
        user.split_whitespace()
            .any(|rule| rule.eq_ignore_ascii_case("nopass"))
    };
    let user = directives.after(&["user", "default"]).pop();
    if !member.has_our_password || user.as_ref().is_some_and(lets_all_in) {
        // CONFIG REWRITE writes the default user out as well, after `requirepass`, and that line holds: a server that
        // had no password once would have none after its next start (ran). Without it `requirepass` makes the user.
        directives.drop(&["user", "default"]);
    }
    for Wanted { key, values } in wanted(settings, member, &directives)? {
        if Engine::adds_up(&key) {
            directives.set_all(&key, &values);
        } else if let [value] = values.as_slice() {
            directives.set(&key, value);
        }
    }
    if gets_role {
        let role = follow(view, roles)?;
        directives.set(settings.engine.replica_directive(), &role);
    }
    let (user, group) = owner(&settings.owner);
    let desired = DesiredFile {
        query: &queries::config(settings),
        text: Text::new(directives.text()),
        mode: 0o640,
        owner: user,
        group,
    };
    let mut task = desired
        .plan(host, cx.facts)
        .map_err(|unknown| unknown.to_string())?;
    if let Some(task) = &mut task {
        if comes_with_package
            && let Some(action) = &mut task.action
            && let Operation::WriteFile { was, .. } = &mut action.operation
        {
            *was = FileState::Any;
        }
        if gets_role && let Some(master) = roles.master() {
            task.reason = format!("{}; it becomes a replica of {master}", task.reason);
        }
        note_reach(settings, member, text, &directives, all);
    }
    Ok(task)
}

/// Says what will be reachable, where `bind` changes.
fn note_reach(
    settings: &Settings,
    member: &Member<'_>,
    before: &str,
    after: &Directives,
    all: &mut StepPlan,
) {
    let before = Directives::parse(before, settings.engine.has_aliases());
    if before.last("bind") != after.last("bind")
        && let Some(bind) = after.last("bind")
    {
        all.note(
            Level::Info,
            Some(member.host),
            format!(
                "{} will be reachable, with the password, on port {} of {bind}",
                settings.engine.name(),
                settings.port
            ),
        );
    }
}
