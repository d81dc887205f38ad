//! The values of canaries and farewells.

use types::HostName;

use crate::observe::View;

/// A value that stands nowhere yet, whatever an earlier run left.
pub(crate) fn value(view: &View<'_>, host: &HostName, after: Option<&HostName>) -> String {
    format!("{}{}", mark(view, host), after.map_or("all", HostName::as_str))
}

/// What the values of a host's canaries begin with: the number of the last change there, or where the server does not
/// run, the name of its last run.
pub(crate) fn mark(view: &View<'_>, host: &HostName) -> String {
    let member = view.hosts.any(host);
    let seen = member
        .and_then(|member| member.server.up())
        .map(|info| info.max_seq.to_string());
    let run = member
        .and_then(|member| member.unit.as_ref().ok())
        .map(|unit| unit.invocation.as_str());
    let run = run.and_then(|run| run.get(..8)).unwrap_or("first");
    format!("{}-{run}-", seen.as_deref().unwrap_or("off"))
}
