//! The steps `directory` and `config`: where the server keeps its data, and its configuration.

use plan::{Level, Preview};
use protocol::facts::FileFact;
use protocol::{DirectoryState, Operation, Text};

use crate::observe::queries;
use crate::observe::view::{Node, View};
use crate::rules::desired_config;
use crate::rules::former_members::Leaving;
use crate::settings::Settings;
use crate::steps::check;
use kit::{Cx, StepPlan, Task};
use kit::{DesiredFile, QUICK, action};

/// The file holds passwords.
pub(crate) const MODE: u32 = 0o640;

/// Makes the directory of the data, without which the server exits with status 1 (seen). One that is there stays as it
/// is; one that a file of the operator's names is the operator's.
pub(crate) fn plan_directory(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for node in planned(&view, cx) {
        if node.has_work_dir || node.work_dir(settings) != settings.work_dir {
            continue;
        }
        let operation = Operation::MakeDirectory {
            path: settings.work_dir.clone(),
            mode: 0o750,
            owner: settings.owner.clone(),
            group: settings.group.clone(),
            was: DirectoryState::Absent,
        };
        let title = format!("make {}", settings.work_dir);
        all.tasks.push(Task::new(
            node.host,
            title,
            "it is missing",
            action(operation, QUICK),
        ));
    }
    all
}

/// Writes the file, or only closes its access.
pub(crate) fn plan_config(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for node in planned(&view, cx) {
        match plan_file(&view, node, cx, &mut all) {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((node.host.clone(), why)),
        }
    }
    all
}

fn planned<'v, 'a>(view: &'v View<'a>, cx: &'v Cx<'_>) -> impl Iterator<Item = &'v Node<'a>> {
    let nodes = cx.hosts.iter().filter_map(|host| view.node(host));
    nodes.filter(|node| !check::stops(view, node))
}

fn plan_file(
    view: &View<'_>,
    node: &Node<'_>,
    cx: &Cx<'_>,
    all: &mut StepPlan,
) -> Result<Option<Task>, String> {
    let settings = view.settings;
    let fact = node.file.as_ref().map_err(ToString::to_string)?;
    // Whoever leaves is mirrored until it has left, which comes later.
    let wanted = desired_config::file(view, node, &Leaving::default())?;
    let text = Text::new(wanted.text);
    if let Some(task) = close_access(settings, node, fact, &text) {
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
        .plan(node.host, cx.facts)
        .map_err(|unknown| unknown.to_string())?;
    if task.is_some() {
        let infos = wanted.infos.into_iter().map(|text| (Level::Info, text));
        for (level, text) in infos.chain(wanted.warnings.into_iter().map(|text| (Level::Warning, text))) {
            all.note(level, Some(node.host), text);
        }
    }
    Ok(task)
}

/// Corrects who may read a file whose text is right. Written anew it would be newer than the process, and that would
/// mean a restart for nothing.
fn close_access(settings: &Settings, node: &Node<'_>, fact: &FileFact, text: &Text) -> Option<Task> {
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
        node.host,
        format!("close the access to {config}"),
        reason,
        action(operation, QUICK),
    );
    Some(task.preview(Preview::Commands(shown)))
}
