//! The step `config`: the server's configuration file.

use plan::{Level, Preview};
use protocol::facts::FileFact;
use protocol::{Operation, Text};

use crate::observe::{Member, View, queries};
use crate::rules::desired_config::{self, MODE};
use crate::rules::former_members::Departing;
use crate::rules::unusable::unusable;
use crate::settings::Settings;
use kit::{Cx, DesiredFile, QUICK, StepPlan, Task, action};

/// Writes the file, or only closes its access.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.on(cx.hosts) {
        if unusable(&view, member).is_some() {
            continue;
        }
        match plan_file(&view, member, cx, &mut all) {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((member.host.clone(), why)),
        }
    }
    all
}

fn plan_file(
    view: &View<'_>,
    member: &Member<'_>,
    cx: &Cx<'_>,
    all: &mut StepPlan,
) -> Result<Option<Task>, String> {
    let settings = view.settings;
    let fact = member.file.as_ref().map_err(ToString::to_string)?;
    // A departing host is mirrored until it has left, which comes later.
    let wanted = desired_config::file(view, member, &Departing::default())?;
    let text = Text::new(wanted.text);
    if let Some(task) = close_access(settings, member, fact, &text) {
        return Ok(Some(task));
    }
    let desired = DesiredFile {
        query: &queries::config(settings),
        text,
        mode: MODE,
        owner: &settings.owner,
        group: &settings.group,
    };
    let task = desired
        .plan(member.host, cx.facts)
        .map_err(|unknown| unknown.to_string())?;
    if task.is_some() {
        let infos = wanted.infos.into_iter().map(|text| (Level::Info, text));
        for (level, text) in infos.chain(wanted.warnings.into_iter().map(|text| (Level::Warning, text))) {
            all.note(level, Some(member.host), text);
        }
    }
    Ok(task)
}

/// Corrects the access to a file whose text is right. Written again it would be newer than the process, and that would
/// mean a restart for nothing.
fn close_access(settings: &Settings, member: &Member<'_>, fact: &FileFact, text: &Text) -> Option<Task> {
    let meta = fact.meta()?;
    let Settings {
        owner, group, config, ..
    } = settings;
    let is_right = meta.mode == MODE && meta.owner == *owner && meta.group == *group;
    if fact.text() != Some(text) || is_right {
        return None;
    }
    let (mode, owners) = (format!("{MODE:04o}"), format!("{owner}:{group}"));
    let shown = vec![
        format!("chown {owners} -- {config}"),
        format!("chmod {mode} -- {config}"),
    ];
    let operation = Operation::SetAccess {
        path: config.clone(),
        mode: MODE,
        owner: owner.clone(),
        group: group.clone(),
        was: fact.state(),
    };
    let reason = format!(
        "it is {:04o} {}:{} instead of {mode} {owners}",
        meta.mode, meta.owner, meta.group
    );
    let task = Task::new(
        member.host,
        format!("close the access to {config}"),
        reason,
        action(operation, QUICK),
    );
    Some(task.preview(Preview::Commands(shown)))
}
