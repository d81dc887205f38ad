//! The process of mongod: its needs of systemd, and why it must be restarted.

use kit::{Cx, Need, Probe, Process, Reason, Undecided, is_newer};
use protocol::facts::FileFact;
use types::HostName;

use super::mongod_conf::differences;
use crate::observe::{Member, Membership, View};
use crate::settings::Settings;

/// The unit of mongod on a host.
pub(crate) fn process<'a>(settings: &'a Settings, host: &'a HostName) -> Process<'a> {
    Process {
        host,
        unit: &settings.unit,
        package: &settings.package,
    }
}

/// The need of a host's process that the step `start` meets. Members of the set that run are restarted in turns by the step `restart`.
pub(crate) fn need(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Need>, Undecided> {
    let process = process(view.settings, member.host);
    let is_outside = match &member.server {
        Probe::Down(_) => true,
        Probe::Up(server) => matches!(
            server.membership,
            Membership::Standalone | Membership::Uninitiated
        ),
        Probe::Denied(_) => false,
        // It may run.
        Probe::Unknown(_) => return Ok(None),
    };
    if is_outside {
        process.need(cx, || Ok(outdated(view.settings, member, cx)))
    } else {
        process.need_to_run(cx)
    }
}

/// Whether the step `start` starts a host's process, or starts it again.
pub(crate) fn starts(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> bool {
    let need = need(view, member, cx);
    cx.hosts.contains(member.host) && matches!(need, Ok(Some(need)) if need.starts())
}

/// Why the process of a member of the set must be restarted; `None` where it need not.
pub(crate) fn restart_reason(settings: &Settings, member: &Member<'_>, cx: &Cx<'_>) -> Option<Reason> {
    let requested = || {
        let is_requested = cx.asks_restart(member.host, &settings.unit);
        is_requested.then_some(Reason::Requested)
    };
    outdated(settings, member, cx)
        .map(Reason::Restart)
        .or_else(requested)
}

/// Why a process does not run with what its files say.
///
/// Options are compared where the process tells them. Where it does not, and for the key, whose content it never tells,
/// files that are newer than the process decide.
fn outdated(settings: &Settings, member: &Member<'_>, cx: &Cx<'_>) -> Option<String> {
    let is_new = |path: &str, file: Option<&FileFact>| {
        let is_newer = |file| member.unit.as_ref().is_ok_and(|unit| is_newer(file, unit));
        cx.writes(member.host, path) || file.is_some_and(is_newer)
    };
    let mut reasons = Vec::new();
    if is_new(&settings.config_path, member.conf_file.as_ref().ok().copied()) {
        match member.server.up().and_then(|server| server.options.as_ref()) {
            Some(parsed) => reasons = differences(settings, member, parsed),
            None => reasons.push(format!("{} is newer than its process", settings.config_path)),
        }
    }
    if let (Some(keyfile), Some(fact)) = (&settings.keyfile, &member.keyfile)
        && is_new(&keyfile.path, fact.as_ref().ok().copied())
    {
        reasons.push("its key file is newer than its process".to_owned());
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
