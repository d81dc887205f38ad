//! The step `sentinel-set`: what running sentinels watch with is changed in the running process, on every sentinel, for
//! SENTINEL SET speaks to one only, and their files are theirs.

use protocol::Text;

use super::directives::unquoted;
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
    for (member, _, master) in view.watching() {
        if !cx.hosts.contains(member.host) {
            continue;
        }
        let mut commands = Vec::new();
        let mut reasons = Vec::new();
        let quorum = i64::try_from(settings.sentinel.quorum).unwrap_or(i64::MAX);
        for (option, value) in std::iter::once(&("quorum", quorum)).chain(&settings.sentinel.options) {
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
