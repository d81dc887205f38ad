//! The steps `sentinel-set` and `sentinel-quorum`: what running sentinels watch with is changed in the running process, on every sentinel, for
//! SENTINEL SET speaks to one only, and their files are theirs.

use protocol::Text;
use protocol::facts::RespCommand;

use crate::checks;
use crate::observe::replies::{Fields, field};
use crate::observe::view::View;
use crate::rules::preconditions::names_same;
use crate::rules::role_assignment::is_stopped;
use crate::rules::roles::Roles;
use crate::rules::sentinel_commands::{resp, set, watch};
use crate::settings::Settings;
use formats::directives::unquoted;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let name = settings.sentinel.master_name.as_str();
    all.tasks.extend(anew(&view, cx));
    // A higher quorum waits for newcomers: before they vote, it would leave the others fewer that they can spare.
    let waits = waits_for_newcomers(&view);
    for (member, _, master) in view.watching() {
        if !cx.hosts.contains(member.host) {
            continue;
        }
        let mut commands = Vec::new();
        let mut reasons = Vec::new();
        let quorum = i64::try_from(settings.sentinel.quorum).unwrap_or(i64::MAX);
        let quorum = Some(("quorum", quorum)).filter(|_| !(waits && is_low(settings, master)));
        for (option, value) in quorum.iter().chain(&settings.sentinel.options) {
            let value = value.to_string();
            let live = field(master, option);
            if live != value {
                commands.push(set(name, option, &value));
                reasons.push(format!("{option} is {live}"));
            }
        }
        let secret = Text::secret(&settings.password);
        // SENTINEL MASTER does not show the password. The file does, for Sentinel writes it there at once.
        if let Some(directives) = member.sentinel_directives()
            && directives
                .after(&["sentinel", "auth-pass", name])
                .pop()
                .map(unquoted)
                != Some(secret.as_str())
        {
            commands.push(set(name, "auth-pass", secret.as_str()));
            reasons.push("it has not our password for the engines".to_owned());
        }
        if !commands.is_empty() {
            let title = "set options of the running sentinel".to_owned();
            let task = resp(settings, member.host, title, reasons.join("; "), commands);
            all.tasks.push(task);
        }
    }
    all
}

/// Sentinels that hear of nobody are told the master anew.
fn anew(view: &View<'_>, cx: &Cx<'_>) -> Vec<Task> {
    let settings = view.settings;
    let name = settings.sentinel.master_name.as_str();
    let watching = view.watching();
    let Some(address) = watching.first().map(|(.., master)| field(master, "ip")) else {
        return Vec::new();
    };
    let members = view.members.iter();
    let strays = members.filter(|member| cx.hosts.contains(member.host) && view.is_stray(member.host));
    let told = strays.map(|member| {
        let host = member.host;
        let live = member.sentinel.up().and_then(|sentinel| view.watched(sentinel));
        let old = live.map_or("", |master| field(master, "ip"));
        let mut commands = vec![RespCommand::new(["SENTINEL", "REMOVE", name])];
        commands.extend(watch(settings, address));
        let reason = format!(
            "it watches {old}, which is down, and hears of no other sentinel that would tell it more"
        );
        let title = format!("let the running sentinel watch {name} anew");
        let mut task = resp(settings, host, title, reason, commands).part("anew");
        if let Some(action) = &mut task.action {
            let what = format!("the sentinel on {host} still watches {old}");
            action.only_if.extend(names_same(view, what, host, member));
        }
        task.gate(checks::sentinel_knows(view, cx, host))
    });
    told.collect()
}

/// Whether there are members whose sentinels do not watch yet.
fn waits_for_newcomers(view: &View<'_>) -> bool {
    view.watching().len() < view.members.len()
}

/// Whether a sentinel's quorum is to be raised.
fn is_low(settings: &Settings, master: &Fields) -> bool {
    let live = field(master, "quorum").parse::<usize>();
    live.is_ok_and(|live| live < settings.sentinel.quorum)
}

/// Plans the step `sentinel-quorum`: a higher quorum, once the sentinels have started that it counts on.
pub(crate) fn plan_quorum(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let (watching, wanted) = (view.watching(), settings.sentinel.quorum);
    let roles = Roles::find(&view);
    let newcomers = cx.hosts.iter().filter_map(|host| view.member(host));
    let mut newcomers = newcomers.filter(|member| watching.iter().all(|(at, ..)| at.host != member.host));
    if newcomers.all(|member| is_stopped(&view, &roles, member, cx)) || wanted > cx.hosts.len() {
        return all;
    }
    let name = settings.sentinel.master_name.as_str();
    for (member, _, master) in watching {
        let live = field(master, "quorum");
        if cx.hosts.contains(member.host) && is_low(settings, master) {
            let commands = vec![set(name, "quorum", &wanted.to_string())];
            let reason = format!("quorum is {live}, and more sentinels watch from now on");
            let title = "set the quorum of the running sentinel".to_owned();
            let task = resp(settings, member.host, title, reason, commands);
            all.tasks.push(task.before(checks::sentinel_agrees(&view, cx)));
        }
    }
    all
}
