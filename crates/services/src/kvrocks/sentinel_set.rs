//! The steps `sentinel-set` and `sentinel-quorum`: what running sentinels watch with is changed in the running process, on every sentinel, for
//! SENTINEL SET speaks to one only, and their files are theirs.

use protocol::Text;

use super::directives::unquoted;
use super::gates;
use super::seed::{resp, set};
use super::servers::field;
use super::settings::Settings;
use super::view::View;
use crate::step::{Cx, StepPlan};

/// Plans the step.
pub(super) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let name = settings.sentinel.master_name.as_str();
    // A quorum that newcomers make possible comes when they are there: before, no master could be elected without one.
    let voters = view.watching().len();
    for (member, _, master) in view.watching() {
        if !cx.hosts.contains(member.host) {
            continue;
        }
        let mut commands = Vec::new();
        let mut reasons = Vec::new();
        let quorum = i64::try_from(settings.sentinel.quorum).unwrap_or(i64::MAX);
        let quorum = Some(("quorum", quorum)).filter(|_| settings.sentinel.quorum <= voters);
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

/// Plans the step `sentinel-quorum`: a quorum that could not be reached before the sentinels started that it counts on.
pub(super) fn plan_quorum(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let (watching, wanted) = (view.watching(), settings.sentinel.quorum);
    if wanted <= watching.len() {
        return all;
    }
    let name = settings.sentinel.master_name.as_str();
    for (member, _, master) in watching {
        let live = field(master, "quorum");
        if cx.hosts.contains(member.host) && live != wanted.to_string() {
            let commands = vec![set(name, "quorum", &wanted.to_string())];
            let reason = format!("quorum is {live}, and more sentinels watch from now on");
            let title = "set the quorum of the running sentinel".to_owned();
            let task = resp(settings, member.host, title, reason, commands);
            all.tasks.push(task.before(gates::sentinel_agrees(settings, cx)));
        }
    }
    all
}
