//! The step `forget`: the members stop to mirror those that left with this plan, one after another, for a server reads its
//! masters when it starts.

use std::collections::BTreeSet;

use plan::Preview;
use protocol::{FileState, Operation, Text, UnitVerb};
use types::HostName;

use super::canary;
use crate::checks::Check;
use crate::observe::{Member, View};
use crate::rules::departure::departing;
use crate::rules::desired_config::{self, MODE};
use crate::rules::former_members::Departing;
use crate::settings::Settings;
use kit::{Cx, QUICK, StepPlan, Task, action};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let strangers = view.strangers();
    let departing = departing(&view, &strangers, cx);
    let members = view.hosts.listed.iter();
    let concerned = members.filter(|member| mirrors_one(&view, member, &departing));
    let concerned: Vec<&Member<'_>> = concerned.collect();
    if departing.0.is_empty() || concerned.is_empty() {
        return all;
    }
    let is_reached = |member: &Member<'_>| cx.hosts.contains(member.host);
    if let Some(lost) = view.hosts.listed.iter().find(|member| !is_reached(member)) {
        let why = format!(
            "it goes on to mirror those that left: {} does not serve, and one member at a time may be missing",
            lost.host
        );
        let reached = concerned.iter().filter(|member| is_reached(member));
        let unplanned = reached.map(|member| (member.host.clone(), why.clone()));
        all.unplanned.extend(unplanned);
        return all;
    }
    let everybody: Vec<&HostName> = cx.hosts.iter().collect();
    // A member that came back a moment ago says SYNC too, and the farewell proves the links from departing members only.
    let mirroring = cx.hosts.iter().collect();
    let first = canary::write_first(&view, &everybody, &mirroring, &BTreeSet::new());
    all.tasks.extend(first);
    for member in concerned {
        all.add(member.host, forget(&view, member, &departing, &everybody, cx));
    }
    if everybody.len() > 1 {
        let delete = |&host: &&HostName| canary::delete(&view, host, &everybody, "it has done its work");
        all.tasks.extend(everybody.iter().map(delete));
    }
    all.tasks
        .extend(canary::delete_farewell(&view, &everybody, "it has done its work"));
    all
}

/// Whether a member mirrors one of those that leave, or does by the time of this step.
fn mirrors_one(view: &View<'_>, member: &Member<'_>, departing: &Departing<'_>) -> bool {
    let mut former = view
        .hosts
        .former
        .iter()
        .filter(|other| departing.has(other.host.as_str()));
    let text = |departing| desired_config::file(view, member, departing).map(|wanted| wanted.text);
    former.any(|other| view.mirrors(member, other.host)) || text(&Departing::default()) != text(departing)
}

/// The file without those that left, and a restart with it.
fn forget(
    view: &View<'_>,
    member: &Member<'_>,
    departing: &Departing<'_>,
    everybody: &[&HostName],
    cx: &Cx<'_>,
) -> Result<Vec<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let fact = member.file.as_ref().map_err(ToString::to_string)?;
    let before = Text::new(desired_config::file(view, member, &Departing::default())?.text);
    let after = Text::new(desired_config::file(view, member, departing)?.text);
    // An earlier step of this plan, which read the file as it is, writes the one that this one is made from.
    let is_written_before = fact.text() != Some(&before);
    let names: Vec<&str> = departing.0.iter().copied().collect();
    let reason = format!(
        "it mirrors {}, no host of this service any more",
        names.join(", ")
    );
    let mut tasks = Vec::new();
    if after != before {
        let operation = Operation::WriteFile {
            path: settings.config.clone(),
            text: after.clone(),
            mode: MODE,
            owner: settings.owner.clone(),
            group: settings.group.clone(),
            was: if is_written_before {
                FileState::Any
            } else {
                fact.state()
            },
            trial: None,
        };
        let preview = Preview::File {
            path: settings.config.clone(),
            before: Some(before),
            after,
        };
        let task = Task::new(
            host,
            format!("change {}", settings.config),
            reason.clone(),
            action(operation, QUICK),
        );
        tasks.push(task.part("file").preview(preview));
    }
    let gate = Check::Linked.gate(settings, host, everybody, settings.sync_timeout);
    let restart = member.process(settings).tell(&[UnitVerb::Restart], reason);
    tasks.push(restart.part("restart").disrupting(true).gate(gate));
    let renewed = cx.hosts.iter().collect();
    tasks.extend(canary::write(
        view,
        everybody,
        &BTreeSet::new(),
        &renewed,
        Some(host),
    ));
    Ok(tasks)
}
