//! When engines begin to ask for the password: not before every other member can follow a master that does.

use super::drift::drifts;
use crate::observe::{Engine, Member, View};
use kit::{Cx, Probe, StepPlan};

/// Why no engine begins to ask for the password yet: a member does not get `masterauth` by this plan and may run, or start,
/// without it. `planned` is what the step has planned so far.
pub(crate) fn cannot_follow(view: &View<'_>, cx: &Cx<'_>, planned: &StepPlan) -> Option<String> {
    let is_planned = |member: &Member<'_>| {
        let is_it = |host| host == member.host;
        let mut refused = planned
            .refusals
            .iter()
            .filter_map(|refusal| refusal.host.as_ref());
        cx.hosts.iter().any(is_it)
            && !cx.stopped.contains(member.host)
            && !planned.unplanned.iter().any(|(host, _)| is_it(host))
            && !refused.any(is_it)
    };
    let mut members = view.members.listed.iter();
    let member = members.find(|member| !is_planned(member) && lacks_masterauth(member))?;
    Some(format!(
        "{} does not run with masterauth, and could not follow a master that asks for a password",
        member.host
    ))
}

/// Whether it may run without the password that replicas need, or start without it.
fn lacks_masterauth(member: &Member<'_>) -> bool {
    match &member.engine {
        Probe::Down(_) => !member.has_our_password("masterauth"),
        Probe::Up(engine) => drifts(member, engine).map_or(true, |found| {
            found.iter().any(|drift| drift.key() == "masterauth")
        }),
        Probe::Denied(_) | Probe::Unknown(_) => true,
    }
}

/// Whether a member that serves asks for no password, and would not after a reboot either.
pub(crate) fn is_open(member: &Member<'_>) -> bool {
    let asks = |engine: &Engine| engine.authenticated;
    member.engine.up().is_some_and(|engine| !asks(engine)) && !member.has_our_password("requirepass")
}
