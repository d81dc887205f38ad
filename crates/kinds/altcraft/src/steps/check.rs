//! The step `check`: hosts that cannot be changed, and a master that may not move. It has no tasks.

use std::collections::BTreeSet;

use plan::{Level, Refusal};
use types::HostName;

use crate::observe::{FileTrouble, Member, Run, View};
use crate::rules::main_json::change;
use crate::rules::membership::{all, foreign_masters};
use crate::rules::role_move::{is_promoted, old_masters};
use crate::rules::unmanaged::{closed_vhost, places};
use crate::settings::Settings;
use formats::main_json::MergeError;
use kit::{Cx, StepPlan};

/// The consent to make a host the master while it is not known whether the old one still is.
const MASTER: &str = "altcraft.master";

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    all.refusals
        .extend(view.on(cx).filter_map(|member| unusable(&view, member)));
    all.refusals.extend(unproven_move(&view, cx));
    let places: BTreeSet<String> = view.on(cx).flat_map(|member| places(settings, member)).collect();
    if !places.is_empty() {
        let places: Vec<String> = places.into_iter().collect();
        let text = format!(
            "main.json names hosts of the inventory in blocks that are not managed: {}; change them by hand where services \
             move",
            places.join("; ")
        );
        all.note(Level::Warning, None, text);
    }
    for member in view.on(cx) {
        if let Some(text) = closed_vhost(settings, member) {
            all.note(Level::Warning, Some(member.host), text);
        }
    }
    all
}

fn unusable(view: &View<'_>, member: &Member<'_>) -> Option<Refusal> {
    let (settings, host) = (view.settings, member.host);
    let (why, resolve) = if let Some(run) = without_unit(member) {
        let (unit, program) = (&run.process.unit, run.process.program);
        let resolve = format!(
            "install the Altcraft Platform there, or name its unit: {program} = {{ unit = \"...\" }}"
        );
        (format!("there is no unit {unit}"), resolve)
    } else {
        let trouble = change(settings, &settings.hosts, member).err()?;
        file_trouble(&settings.config, trouble)?
    };
    Some(Refusal::new(format!("nothing is changed on {host}"), why, resolve).on(host))
}

fn without_unit<'v, 'a>(member: &'v Member<'a>) -> Option<&'v Run<'a>> {
    let mut runs = member.runs.iter();
    runs.find(|run| run.unit.as_ref().is_ok_and(|unit| !unit.exists()))
}

/// Why a main.json cannot be changed, and how to resolve it; `None` where that is not known.
fn file_trouble(path: &str, trouble: FileTrouble) -> Option<(String, String)> {
    let (why, resolve) = match trouble {
        FileTrouble::Unknown(_) => return None,
        FileTrouble::Absent => (
            format!("there is no {path}"),
            "install the Altcraft Platform there, or name its file: config = \"...\"",
        ),
        FileTrouble::Obstacle(obstacle) => return Some((format!("{path}: {obstacle}"), obstacle.resolve())),
        FileTrouble::NoText => (
            format!("{path}: it is not text in UTF-8"),
            "name the file itself: config = \"...\"",
        ),
        FileTrouble::Merge(error @ MergeError::NotJson { .. }) => (
            format!("{path} is not JSON: {error}"),
            "correct it by hand: a file that cannot be read is not guessed at",
        ),
        FileTrouble::Merge(error) => (format!("{path}: {error}"), "correct it by hand"),
    };
    Some((why, resolve.to_owned()))
}

/// Two masters at the same time are worse than none for a moment: where the role moves, all hosts that have it, had it or
/// get it must be observed and changed by this plan.
fn unproven_move(view: &View<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let settings = view.settings;
    let (wanted, old, is_promoted) = (&settings.master, old_masters(view), is_promoted(view));
    let next = view.members.listed(wanted);
    let has_role = next.is_some_and(|next| next.runs.iter().any(|run| run.logged_master() == Some(true)));
    let foreign = foreign_masters(view).filter(|_| !has_role);
    let foreign: Vec<&str> = foreign.map(|other| other.host.as_str()).collect();
    if old.is_empty() && !is_promoted && foreign.is_empty() || cx.is_allowed(MASTER, wanted) {
        return None;
    }
    let mut concerned: BTreeSet<&str> = old.iter().map(String::as_str).chain([wanted.as_str()]).collect();
    if is_promoted {
        // Any of them may have been the master before main.json was written.
        concerned.extend(settings.hosts.iter().map(HostName::as_str));
    }
    concerned.retain(|name| !is_changeable(view, cx, name));
    let unseen: Vec<&str> = concerned.into_iter().collect();
    let why = if !unseen.is_empty() {
        let unseen = unseen.join(", ");
        format!(
            "{unseen} cannot be observed or changed by this plan, and there would be two masters, or none"
        )
    } else if !foreign.is_empty() {
        let foreign = foreign.join(", ");
        format!("{foreign} is master, perhaps of this platform, and there would be two")
    } else {
        return None;
    };
    let resolve = "plan for all hosts when they can be reached; or make sure that the processes there are stopped, and allow it";
    let refusal = Refusal::new(format!("the master does not move to {wanted}"), why, resolve);
    Some(refusal.unless_allowed(MASTER, wanted))
}

/// Whether this plan reaches a host, and can change its main.json.
fn is_changeable(view: &View<'_>, cx: &Cx<'_>, name: &str) -> bool {
    let settings = view.settings;
    let mut members = settings.hosts.clone();
    let mut reached = cx.hosts.iter().chain(cx.others);
    let Some(host) = reached.find(|host| host.as_str() == name) else {
        return false;
    };
    if !members.contains(host) {
        members.push(host.clone());
    }
    let is_refused =
        |member: &Member<'_>| without_unit(member).is_some() || change(settings, &members, member).is_err();
    !all(view).any(|member| member.host == host && is_refused(member))
}
