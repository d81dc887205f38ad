//! The step `config`: rabbitmq.conf, edited in place. Only the keys that the inventory names are set or taken out; every
//! other line stays.

use protocol::Text;

use super::trial;
use crate::observe::queries;
use crate::settings::Settings;
use formats::rabbitmq_conf::edited;
use kit::{Cx, DesiredFile, StepPlan, each_host};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let Some(query) = queries::config(settings) else {
        return StepPlan::nothing();
    };
    each_host(cx, |host| {
        let fact = cx.facts.get(host, &query)?;
        let before = fact.text().map(Text::as_str).unwrap_or_default();
        if fact.meta().is_none() && settings.config.is_empty() {
            return Ok(Vec::new());
        }
        let (mode, owner, group) = match fact.meta() {
            Some(meta) => (meta.mode, meta.owner.as_str(), meta.group.as_str()),
            // As Debian's package leaves the folder's other files.
            None => (0o644, "root", "root"),
        };
        let desired = DesiredFile {
            query: &query,
            text: Text::new(edited(before, &settings.config, &settings.absent)),
            mode,
            owner,
            group,
        };
        let task = desired.plan(host, cx.facts)?;
        let tried = task.map(|task| match trial::argv(settings, host, cx.facts) {
            Some(argv) => task.tried_by(argv),
            None => task,
        });
        Ok(tried.into_iter().collect())
    })
}
