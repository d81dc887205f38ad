//! The step `sentinel-set`: what running sentinels watch with is changed in the running process, on every sentinel, because
//! SENTINEL SET is for one only, and their files are theirs.

use protocol::Text;
use protocol::facts::RespCommand;

use crate::checks;
use crate::observe::{View, Watch};
use crate::rules::commands::{monitor, set, to_sentinel};
use crate::rules::preconditions::names_same;
use crate::settings::Settings;
use formats::directives::unquoted;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    all.tasks.extend(monitor_again(&view, cx));
    let watching = view.watching();
    // A higher quorum waits for joining members: before they vote, fewer of the others could be spared.
    let are_joining = watching.len() < settings.hosts.len();
    for watch in watching {
        if cx.hosts.contains(watch.member.host) {
            let waits = are_joining && watch.has_low_quorum(settings);
            all.tasks.extend(set_options(settings, watch, waits));
        }
    }
    all
}

fn set_options(settings: &Settings, watch: Watch<'_, '_>, quorum_waits: bool) -> Option<Task> {
    let name = settings.sentinel.master_name.as_str();
    let quorum = i64::try_from(settings.sentinel.quorum).unwrap_or(i64::MAX);
    let quorum = Some(("quorum", quorum)).filter(|_| !quorum_waits);
    let (mut commands, mut reasons) = (Vec::new(), Vec::new());
    for (option, value) in quorum.iter().chain(&settings.sentinel.options) {
        let (value, live) = (value.to_string(), watch.master.get(option));
        if live != value {
            commands.push(set(name, option, &value));
            reasons.push(format!("{option} is {live}"));
        }
    }
    let secret = Text::secret(&settings.password);
    // SENTINEL MASTER does not show the password. The file does, for Sentinel writes it there at once.
    if let Some(directives) = &watch.member.sentinel_directives {
        let password = directives.after(&["sentinel", "auth-pass", name]).pop();
        if password.map(unquoted) != Some(secret.as_str()) {
            commands.push(set(name, "auth-pass", secret.as_str()));
            reasons.push("it has not our password for the engines".to_owned());
        }
    }
    if commands.is_empty() {
        return None;
    }
    let title = "set options of the running sentinel".to_owned();
    Some(to_sentinel(
        settings,
        watch.member.host,
        title,
        reasons.join("; "),
        commands,
    ))
}

/// Has isolated sentinels watch the master that the others name.
fn monitor_again(view: &View<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let settings = view.settings;
    let name = settings.sentinel.master_name.as_str();
    let watching = view.watching();
    let Some(address) = watching.first().map(|watch| watch.master.ip()) else {
        return Vec::new();
    };
    let members = view
        .members
        .listed
        .iter()
        .filter(|member| cx.hosts.contains(member.host));
    let isolated = members.filter(|member| view.is_isolated(member.host));
    let told = isolated.filter_map(|member| {
        let (host, watch) = (member.host, view.watch(member)?);
        let old = watch.master.ip();
        let mut commands = vec![RespCommand::new(["SENTINEL", "REMOVE", name])];
        commands.extend(monitor(settings, address));
        let reason =
            format!("it watches {old}, which is down, and no other sentinel tells it of an election");
        let title = format!("have the running sentinel watch {name} again");
        let what = format!("the sentinel on {host} still watches {old}");
        let task = to_sentinel(settings, host, title, reason, commands)
            .part("anew")
            .only_if(names_same(view, what, host, watch))
            .gate(checks::sentinel_knows(view, cx, host));
        Some(task)
    });
    told.collect()
}
