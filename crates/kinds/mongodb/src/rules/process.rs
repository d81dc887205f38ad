//! The process of mongod: its needs of systemd, and why it must be restarted.

use kit::{Cx, Freshness, Need, Newer, Probe, Process, Reason, Undecided};
use protocol::facts::FileFact;
use types::HostName;

use super::mongod_conf::differences;
use crate::observe::{Member, Membership, View};
use crate::settings::Settings;

/// The unit of mongod on a host.
pub(crate) fn process<'a>(settings: &'a Settings, host: &'a HostName) -> Process<'a> {
    let keyfile = settings.keyfile.iter().map(|keyfile| keyfile.path.as_str());
    let files = keyfile.chain([settings.config_path.as_str()]);
    Process {
        host,
        unit: &settings.unit,
        package: &settings.package,
        reads: files.map(str::to_owned).collect(),
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
    let unread = |path: &str, file: Option<&FileFact>| {
        if cx.writes(member.host, path) {
            return Some(Newer::Time);
        }
        Freshness::of(path, file?, member.unit.as_ref().ok()?).newer()
    };
    let mut reasons = Vec::new();
    if let Some(why) = unread(&settings.config_path, member.conf_file.as_ref().ok().copied()) {
        match member.server.up().and_then(|server| server.options.as_ref()) {
            Some(parsed) => reasons = differences(settings, member, parsed),
            None => reasons.push(format!("{} {why}", settings.config_path)),
        }
    }
    if let (Some(keyfile), Some(fact)) = (&settings.keyfile, &member.keyfile)
        && let Some(why) = unread(&keyfile.path, fact.as_ref().ok().copied())
    {
        reasons.push(format!("its key file {why}"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
