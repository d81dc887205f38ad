//! The step `check`: what stands in the way of any change, and what is worth knowing before one. It has no tasks.

use std::collections::BTreeMap;

use formats::replset::MemberConfig;
use kit::{Cx, Probe, StepPlan, majority};
use plan::{Level, Note, Refusal};

use crate::observe::{Member, Membership, View};
use crate::rules::availability::voters;
use crate::rules::doubt::is_coming;
use crate::rules::member_blocker::member_blocker;
use crate::rules::member_removal::REMOVE;
use crate::rules::oplog;
use crate::rules::process::starts;
use crate::rules::set_blockers::{rejects_admin, set_blockers};
use crate::settings::Settings;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    all.refusals.extend(set_blockers(&view));
    all.refusals.extend(no_primary(&view, cx, &mut all.notes));
    for member in view.listed_on(cx.hosts) {
        all.refusals.extend(member_blocker(&view, member, cx));
        note_member(&view, member, &mut all);
    }
    note_set(&view, &mut all);
    for name in view.unlisted() {
        all.refusals.extend(other_port(&view, &name, cx));
    }
    all
}

fn no_primary(view: &View<'_>, cx: &Cx<'_>, notes: &mut Vec<Note>) -> Option<Refusal> {
    if !view.has_set() || view.primary().is_some() || rejects_admin(view).is_some() {
        return None;
    }
    let states: Vec<String> = view.listed().iter().map(|member| state(view, member)).collect();
    let states = states.join(", ");
    if view.listed().iter().any(|member| starts(view, member, cx)) {
        notes.push(Note {
            level: Level::Warning,
            service: None,
            host: None,
            text: format!(
                "the set has no primary ({states}); stopped members are started, and the rest is planned then"
            ),
        });
        return None;
    }
    let nothing = "nothing is changed in the set";
    if let Some(name) = view.primary_name() {
        return Some(Refusal::new(
            nothing,
            format!("its primary is {name}, which cannot be reached in this run"),
            "let a member become the primary that can be reached (rs.stepDown() in the shell there), or make the host of \
             this one reachable: it must be under [hosts] until it is out of the set",
        ));
    }
    let refusal = Refusal::new(
        nothing,
        format!("it has no primary: {states}"),
        "if an election is going on, wait and plan again; else bring back as many members as make a majority. A set whose \
         majority is lost for good is never mended automatically: \
         https://www.mongodb.com/docs/manual/tutorial/reconfigure-replica-set-with-unavailable-members/",
    );
    Some(if may_elect(view) {
        refusal.passing()
    } else {
        refusal
    })
}

/// Whether a majority of the voters is up, or may be within moments: an election takes 10 to 17 s (seen on 4.9).
fn may_elect(view: &View<'_>) -> bool {
    let Some(config) = &view.config else {
        return view.listed().iter().any(|member| is_coming(view, member));
    };
    let is_up = |voter: &MemberConfig| {
        let host = view.names.host_of(voter.name());
        let member = host.and_then(|host| view.members.any(host));
        member.is_some_and(|member| is_coming(view, member))
    };
    voters(config).filter(is_up).count() >= majority(config.voters())
}

fn state(view: &View<'_>, member: &Member<'_>) -> String {
    let state = match (&member.server, member.unreachable) {
        (_, Some(_)) => "not reached",
        (Probe::Up(_), None) => view
            .state_of(member.host)
            .map_or("no member", |state| &state.words),
        _ => "not answering",
    };
    format!("{} {state}", member.host)
}

/// A member on a listed host, under another port. Those on hosts that are not listed leave.
fn other_port(view: &View<'_>, name: &str, cx: &Cx<'_>) -> Option<Refusal> {
    let host = view
        .host_of(name)
        .filter(|host| view.settings.hosts.contains(host))?;
    if cx.is_allowed(REMOVE, &host) {
        return None;
    }
    let port = view.settings.port;
    let refusal = Refusal::new(
        format!("{name} is not removed from the set"),
        format!("the set knows {host} as {name}, and the inventory says port {port}"),
        "set that port in the inventory, or allow its removal",
    );
    Some(refusal.on(&host).unless_allowed(REMOVE, &host))
}

fn note_member(view: &View<'_>, member: &Member<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, member.host);
    let mut warn = |text: String| all.note(Level::Warning, Some(host), text);
    let version = member.server.up().and_then(|server| server.version);
    if let Some(Ok(conf)) = &member.conf
        && conf.get("storage.journal.enabled").is_some()
        && version.is_none_or(|version| version >= (6, 1))
    {
        warn(format!(
            "{} sets storage.journal.enabled, and MongoDB 6.1 and later do not start with it: remove the line",
            settings.config_path
        ));
    }
    let Probe::Up(server) = &member.server else {
        return;
    };
    if server.membership == Membership::Member && server.role.is_none() {
        let state = view.state_of(host).map_or("", |state| &state.words);
        warn(format!("it is {state} in the set"));
    }
    if let Some(lag) = view.lag_s(host).filter(|lag| *lag > settings.max_lag_s) {
        warn(format!("it is {lag} s behind the primary"));
    }
}

fn note_set(view: &View<'_>, all: &mut StepPlan) {
    if let Some((primary, _)) = view.primary() {
        let window = oplog::window(view).map_or(String::new(), |window| {
            format!(
                "; its oplog goes back {window}: a member that is down longer has to copy everything again"
            )
        });
        let text = format!("{} is the primary{window}", primary.host);
        all.note(Level::Info, None, text);
    }
    // One note for all members of a version.
    let mut versions: BTreeMap<(u32, u32), Vec<&str>> = BTreeMap::new();
    for member in view.listed() {
        if let Some(version) = member.server.up().and_then(|server| server.version) {
            versions.entry(version).or_default().push(member.host.as_str());
        }
    }
    if versions.len() > 1 {
        let versions = versions
            .iter()
            .map(|((major, minor), hosts)| format!("{major}.{minor} on {}", hosts.join(", ")));
        let versions: Vec<String> = versions.collect();
        let text = format!("members run several versions: {}", versions.join("; "));
        all.note(Level::Warning, None, text);
    }
}
