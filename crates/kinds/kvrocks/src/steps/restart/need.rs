//! The need of an engine: to be started, restarted, or only enabled.

use thiserror::Error;

use crate::checks;
use crate::observe::{Engine, Member, View};
use crate::rules::desired_config::NoAddress;
use crate::rules::drift::{Drift, drifts};
use crate::rules::role_assignment::Assignment;
use crate::rules::roles::Roles;
use crate::rules::rollout::Rollout;
use kit::{Cx, Need, Probe, Reason, Task, Undecided};

/// The need of a member's engine.
pub(super) struct EngineNeed<'v, 'a> {
    pub(super) member: &'v Member<'a>,
    pub(super) need: Need,
    pub(super) is_joining: bool,
    /// Whether the member is available now, and will not be for a while.
    pub(super) disrupts: bool,
}

/// Why it is not known what an engine needs.
#[derive(Debug, Error)]
pub(super) enum NotKnown {
    /// Its role is not.
    #[error("{0}")]
    Role(String),
    #[error(transparent)]
    Unit(#[from] Undecided),
    #[error(transparent)]
    Config(#[from] NoAddress),
}

/// Finds the need of a member's engine; `None` where there is none.
pub(super) fn engine_need<'v, 'a>(
    view: &View<'a>,
    roles: &Roles,
    member: &'v Member<'a>,
    cx: &Cx<'_>,
) -> Result<Option<EngineNeed<'v, 'a>>, NotKnown> {
    let is_joining = match Assignment::of(view, roles, member, cx) {
        Assignment::Master | Assignment::Replica | Assignment::OldMaster | Assignment::Orphan => false,
        Assignment::Joining => true,
        // The step `config` refuses, and this one plans nothing there.
        Assignment::Refused(_) => return Ok(None),
        Assignment::Unknown(why) => return Err(NotKnown::Role(why)),
    };
    let process = view.settings.engine_process(member.host);
    let restart = || restart_reason(member, is_joining, cx);
    let Some(need) = process.need::<NotKnown>(cx, restart)? else {
        return Ok(None);
    };
    let is_available = match &member.engine {
        // Where only files tell roles, no member replicates yet.
        Probe::Up(_) => roles.are_in_force() && !is_joining && !is_waited_for(view, roles, member),
        // It runs, and serves those who know its password.
        Probe::Denied(_) => true,
        Probe::Down(_) | Probe::Unknown(_) => false,
    };
    Ok(Some(EngineNeed {
        member,
        disrupts: is_available && matches!(need.reason, Reason::Restart(_) | Reason::Requested),
        need,
        is_joining,
    }))
}

/// Whether a member is the master of replicas none of which has found it yet, as where it listens on the loopback only: its
/// start is what they wait for, and the sentinels, if they watch it already, with them.
fn is_waited_for(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    roles.master() == Some(member.host)
        && !view.engines().any(|(_, engine)| engine.has_link())
        && view.watching().iter().all(|watch| watch.master.is_down())
}

/// Why the process must be started again; `None` where it need not.
fn restart_reason(member: &Member<'_>, is_joining: bool, cx: &Cx<'_>) -> Result<Option<String>, NotKnown> {
    let settings = member.settings;
    // A directive that a process ignores although it was started after its file was written, another start does not
    // change: that is a note of the step `check`.
    let is_pending = cx.writes(member.host, &settings.config) || member.has_newer_file();
    Ok(match &member.engine {
        Probe::Up(_) if is_joining => Some("it runs as a master, and becomes a replica".to_owned()),
        _ if !is_pending => None,
        Probe::Up(engine) => {
            let found = drifts(member, engine)?;
            let waiting = found.iter().filter(|drift| !drift.is_settable);
            let reasons: Vec<String> = waiting.map(Drift::describe).collect();
            (!reasons.is_empty()).then(|| reasons.join("; "))
        }
        // One that is down is started, and of one that could not be asked nothing is planned.
        Probe::Down(_) | Probe::Unknown(_) => None,
        Probe::Denied(_) => {
            Some("it asks for another password, and its file is newer than its process".to_owned())
        }
    })
}

impl EngineNeed<'_, '_> {
    /// Whether it was the master, another was elected, and it still reports the role master.
    pub(super) fn is_old_master(&self, rollout: &Rollout<'_, '_, '_>) -> bool {
        self.disrupts
            && rollout.roles.are_sentinels()
            && self.member.host != rollout.master
            && self.member.engine.up().is_some_and(Engine::is_master)
    }

    /// The task that gives it that.
    pub(super) fn task(&self, rollout: &Rollout<'_, '_, '_>) -> Task {
        let (view, host) = (rollout.view, self.member.host);
        let task = view.settings.engine_process(host).task(&self.need);
        if !self.need.starts() {
            return task;
        }
        // A master that disrupts is a replica by then, or stays the master where no sentinel watches.
        let is_master = host == rollout.master && !(self.disrupts && rollout.roles.are_sentinels());
        task.disrupting(self.disrupts)
            .gate(checks::member_serving(view, rollout.cx, host, is_master))
    }
}
