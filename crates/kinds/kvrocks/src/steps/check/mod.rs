//! The step `check`: contradictions that stop everything, and notes, before anything is touched. It has no tasks.

mod engines;
mod sentinels;

use plan::Level;
use types::HostName;

use crate::observe::{Instance, View};
use crate::rules::find_roles::find_roles;
use crate::rules::roles::{Roles, Source};
use crate::rules::sentinels::candidates;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    match &roles {
        Roles::Refused(refusal) => {
            all.refusals.push((**refusal).clone());
            return all;
        }
        Roles::Known { master, source } => note_master(&view, master, *source, &mut all),
        Roles::First(master) => all.note(
            Level::Info,
            None,
            format!("no member has a role yet: {master}, the first of the inventory, becomes the master"),
        ),
        Roles::Unknown(_) => {}
    }
    for member in view.on(cx) {
        all.refusals.extend(sentinels::enabled(member, cx));
        engines::check(&roles, member, &mut all);
    }
    sentinels::check(&view, &mut all);
    all
}

/// Names the master, and the replica that would be elected in its place.
fn note_master(view: &View<'_>, master: &HostName, source: Source, all: &mut StepPlan) {
    let by = match source {
        Source::Sentinel => "the sentinels say",
        Source::Replication => "the running replication says",
        Source::Files => "no process knows the master; the files say",
    };
    let next = next_master(view).map_or(String::new(), |next| {
        format!("; {next} would be elected in its place")
    });
    all.note(
        Level::Info,
        None,
        format!("{by} that {master} is the master{next}"),
    );
}

/// The replica that Sentinel would elect: the smallest priority, then the greatest offset, then the smallest run id
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).
fn next_master(view: &View<'_>) -> Option<String> {
    let watching = view.watching();
    let rank = |replica: &&Instance| {
        let number = |field| replica.number::<i64>(field);
        let run_id = replica.get("runid").to_owned();
        (number("slave-priority"), -number("slave-repl-offset"), run_id)
    };
    let address = candidates(watching.first()?).min_by_key(rank)?.ip();
    Some(
        view.at(address)
            .map_or(address.to_owned(), |member| member.host.to_string()),
    )
}
