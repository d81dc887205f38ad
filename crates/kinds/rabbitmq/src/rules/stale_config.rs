//! A running broker's rabbitmq.conf: it reads the file when it starts, and never tells what it read.

use plan::Unknown;

use crate::observe::{Member, View, queries};
use kit::{Cx, Freshness};

/// Why a broker does not run, or is not going to run, with what its file says; `None` where it does.
pub(crate) fn stale_config(
    view: &View<'_>,
    member: &Member<'_>,
    cx: &Cx<'_>,
) -> Result<Option<String>, Unknown> {
    let path = &view.settings.config_path;
    if cx.writes(member.host, path) {
        return Ok(Some(format!("{path} changes")));
    }
    if queries::config(view.settings).is_none() {
        return Ok(None);
    }
    newer_config(view, member)
}

/// Why the file counts as newer than the broker's process; `None` where it does not.
pub(crate) fn newer_config(view: &View<'_>, member: &Member<'_>) -> Result<Option<String>, Unknown> {
    let path = &view.settings.config_path;
    let query = queries::config(view.settings).unwrap_or_else(|| queries::foreign_config(view.settings));
    let unit = member.unit.clone()?;
    let file = view.facts.get(member.host, &query)?;
    let newer = Freshness::of(path, file, unit)
        .newer()
        .filter(|_| unit.is_active());
    Ok(newer.map(|newer| format!("{path} {newer}")))
}
