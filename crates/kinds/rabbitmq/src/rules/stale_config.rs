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
    let Some(query) = queries::config(view.settings) else {
        return Ok(None);
    };
    let unit = member.unit.clone()?;
    let file = view.facts.get(member.host, &query)?;
    let newer = Freshness::of(path, file, unit)
        .newer()
        .filter(|_| unit.is_active());
    Ok(newer.map(|newer| format!("{path} {newer}")))
}
