//! What the engine of a member needs: to be started, restarted, or only enabled.

use protocol::UnitVerb;

use crate::observe::replies::{Engine, Talk, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::drift::{Drift, drifts};
use crate::rules::role_assignment::{Fate, fate};
use crate::rules::roles::Roles;
use crate::settings::Settings;
use kit::{ASKED, Cx, verbs_to_run};

/// What a host needs.
pub(crate) struct Need<'v, 'a> {
    pub(crate) member: &'v Member<'a>,
    pub(crate) verbs: Vec<UnitVerb>,
    pub(crate) reason: String,
    pub(crate) is_joining: bool,
    /// Whether it serves now, and will not for a while.
    pub(crate) disrupts: bool,
}

impl Need<'_, '_> {
    /// Whether a process is started, as opposed to what systemd is only told for later.
    pub(crate) fn starts(&self) -> bool {
        self.verbs
            .iter()
            .any(|verb| matches!(verb, UnitVerb::Start | UnitVerb::Restart))
    }
}

pub(super) fn need<'v, 'a>(
    view: &'v View<'a>,
    roles: &Roles,
    member: &'v Member<'a>,
    cx: &Cx<'_>,
) -> Result<Option<Need<'v, 'a>>, String> {
    let (settings, host) = (view.settings, member.host);
    let is_joining = match fate(view, roles, member, cx) {
        Fate::Master | Fate::Replica | Fate::Returns | Fate::Astray => false,
        Fate::Joins => true,
        // The step `config` says so, and this one plans nothing there.
        Fate::Refused(_) => return Ok(None),
        Fate::Unknown(why) => return Err(why),
    };
    let with = |verbs: Vec<UnitVerb>, reason: String, disrupts: bool| {
        Ok(Some(Need {
            member,
            verbs,
            reason,
            is_joining,
            disrupts,
        }))
    };
    if cx.installs(host, &settings.package) {
        let verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
        return with(
            verbs,
            format!("{} is installed by this plan", settings.package),
            false,
        );
    }
    let unit = member.unit.as_ref().map_err(ToString::to_string)?;
    if !unit.exists() {
        return Err(format!("there is no unit {} on {host}", settings.unit));
    }
    let mut verbs = verbs_to_run(host, &settings.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    if verbs.contains(&UnitVerb::Start) {
        return with(verbs, "it does not run".to_owned(), false);
    }
    // Where only files know of roles, nobody replicates yet.
    let is_part = roles.are_in_force() && !is_joining && !is_waited_for(view, roles, member);
    let serves = member.engine.up().is_some() && is_part;
    if let Some(reason) = restart_reason(settings, member, is_joining, cx)? {
        verbs.push(UnitVerb::Restart);
        return with(verbs, reason, serves);
    }
    if verbs.is_empty() {
        return Ok(None);
    }
    let reason = if verbs.contains(&UnitVerb::Enable) {
        "it does not start at boot"
    } else {
        "the unit's file was changed since systemd read it"
    };
    with(verbs, reason.to_owned(), false)
}

/// Whether a member is the master of replicas none of which has found it yet, as where it listens on the loopback only: its
/// start is what they wait for, and the sentinels, if they watch it already, with them.
fn is_waited_for(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    let mut engines = view.members.iter().filter_map(|other| other.engine.up());
    let watching = view.watching();
    roles.master() == Some(member.host)
        && !engines.any(Engine::has_link)
        && watching.iter().all(|(.., master)| is_flagged_down(master))
}

/// Why the process must be started again; `None` where it need not.
fn restart_reason(
    settings: &Settings,
    member: &Member<'_>,
    is_joining: bool,
    cx: &Cx<'_>,
) -> Result<Option<String>, String> {
    // What a process does not run with although it was started after its file was written, another start will not
    // change: that is a note of the step `check`.
    let is_pending = cx.writes(member.host, &settings.config) || member.has_newer_file();
    let asked = cx
        .asks_restart(member.host, &settings.unit)
        .then(|| ASKED.to_owned());
    match &member.engine {
        Talk::Up(_) if is_joining => Ok(Some("it runs as a master, and becomes a replica".to_owned())),
        Talk::Up(engine) if is_pending => {
            let found = drifts(settings, member, engine)?;
            let reasons: Vec<String> = found
                .iter()
                .filter(|drift| !drift.is_settable)
                .map(Drift::describe)
                .collect();
            Ok((!reasons.is_empty()).then(|| reasons.join("; ")).or(asked))
        }
        Talk::Down(why) if is_pending => Ok(Some(format!(
            "it does not answer on port {} ({why}), and its file is newer than its process",
            settings.port
        ))),
        Talk::Denied(_) if is_pending => Ok(Some(
            "it asks for another password, and its file is newer than its process".to_owned(),
        )),
        _ => Ok(asked),
    }
}
