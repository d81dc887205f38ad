//! The step `check`: refusals, and notes that are worth knowing before anything is touched.

use plan::Level;
use types::HostName;

use crate::observe::{Info, Member, View};
use crate::rules::data_loss::both_hold_data;
use crate::rules::out_of_sync::out_of_sync;
use crate::rules::queues::multiplied;
use crate::rules::shared_settings::all_at_once;
use crate::rules::unusable::unusable;
use crate::settings::Settings;
use kit::{Cx, Probe, StepPlan};

/// Plans the step: it has no tasks.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.on(cx.hosts) {
        all.refusals.extend(unusable(&view, member));
        note(&view, member, cx, &mut all);
    }
    all.refusals.extend(both_hold_data(&view, cx));
    all.refusals.extend(all_at_once(&view, cx));
    all.refusals.extend(multiplied(&view, cx));
    let out_of_sync = |member| out_of_sync(&view, member, cx);
    all.refusals.extend(view.on(cx.hosts).filter_map(out_of_sync));
    all
}

/// Whether something stands in the way of everything: then no other step plans anything.
pub(crate) fn refuses_all(settings: &Settings, cx: &Cx<'_>) -> bool {
    let view = View::new(settings, cx.facts);
    !both_hold_data(&view, cx).is_empty()
        || !all_at_once(&view, cx).is_empty()
        || multiplied(&view, cx).is_some()
}

fn note(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, member.host);
    match &member.server {
        Probe::Up(info) => {
            let is_current = !member.has_newer_file() && !cx.writes(host, &settings.config);
            let told = member
                .conf()
                .and_then(|conf| conf.get(&["replication", "binlog", "capacity"]));
            if let Some(live) = info.capacity
                && is_current
                && told == Some(settings.capacity.to_string().as_str())
                && live != settings.capacity
            {
                let text = format!(
                    "its binlog keeps {live} changes, although it was started after its file was written"
                );
                all.note(Level::Warning, Some(host), text);
            }
            note_links(view, host, info, all);
        }
        Probe::Denied(why) if !member.has_newer_file() && !member.has_other_password(settings) => {
            let text =
                format!("it refuses the password, although it was started after its file was written: {why}");
            all.note(Level::Warning, Some(host), text);
        }
        _ => {}
    }
}

/// Links that are down although their masters answer. Where a master does not, that is what is said.
fn note_links(view: &View<'_>, host: &HostName, info: &Info, all: &mut StepPlan) {
    for peer in view.settings.peers(host) {
        let answers = view
            .hosts
            .listed(peer)
            .is_some_and(|member| member.server.up().is_some());
        let link = view.link(info, peer).filter(|_| answers);
        if let Some(link) = link.filter(|link| matches!(link.status.as_str(), "DISCONNECTED" | "INIT")) {
            all.note(
                Level::Warning,
                Some(host),
                format!("its link to {} is {}", link.at, link.status),
            );
        }
    }
}
