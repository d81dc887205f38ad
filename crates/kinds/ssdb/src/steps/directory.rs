//! The step `directory`: the directory of the data, without which the server exits with status 1 (seen). One that exists stays
//! as it is; one that a file of the operator's names is the operator's.

use protocol::{DirectoryState, Operation};

use crate::observe::View;
use crate::rules::unusable::unusable;
use crate::settings::Settings;
use kit::{Cx, QUICK, StepPlan, Task, action};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view
        .on(cx.hosts)
        .filter(|member| unusable(&view, member).is_none())
    {
        if member.has_work_dir || member.work_dir(settings) != settings.work_dir {
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
        let task = Task::new(member.host, title, "it is missing", action(operation, QUICK));
        all.tasks.push(task);
    }
    all
}
