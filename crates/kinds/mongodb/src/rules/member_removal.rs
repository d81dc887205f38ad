//! Members that the inventory does not list any more: which of them are removed, and on what proof.
//!
//! Taking a host from the list is the whole request. It is granted where nothing can be lost by it: every member that
//! stays is available and has the data, and they make a majority without it. Else the operator has to consent.

use formats::replset::{MemberConfig, SetConfig};
use kit::{Cx, StepPlan};
use plan::{Level, Refusal};
use types::HostName;

use super::availability::{available, is_seen_available};
use super::doubt::is_coming;
use super::process::starts;
use crate::observe::View;

/// The consent to remove a member from the set.
pub(crate) const REMOVE: &str = "mongodb.remove";

/// A departing member.
#[derive(Debug, Clone)]
pub(crate) struct DepartingMember {
    /// Its name in the set.
    pub(crate) name: String,
    pub(crate) host: HostName,
    /// Whether it is available until then.
    pub(crate) is_available: bool,
    /// Whether the operator consents; else the proof is repeated right before.
    pub(crate) is_allowed: bool,
}

/// The departing members of a configuration, each with the proof that nothing is lost with it, or why there is none.
pub(crate) fn departing_members(
    view: &View<'_>,
    config: &SetConfig,
    cx: &Cx<'_>,
) -> Vec<(DepartingMember, Result<(), String>)> {
    let settings = view.settings;
    let members = config.members().into_iter();
    let unlisted = members.filter(|member| view.listed_host(member.name()).is_none());
    let departing = unlisted.filter_map(|member| {
        let host = view.host_of(member.name())?;
        let is_allowed = cx.is_allowed(REMOVE, &host);
        // The step `check` refuses one that is listed, and known by another port.
        if settings.hosts.contains(&host) && !is_allowed {
            return None;
        }
        let proof = if is_allowed {
            Ok(())
        } else {
            proof(view, config, &member, cx)
        };
        let departing = DepartingMember {
            name: member.name().to_owned(),
            host,
            is_available: is_seen_available(view, member.name()),
            is_allowed,
        };
        Some((departing, proof))
    });
    departing.collect()
}

/// Proves that nothing is lost with a member, as far as it is observed now or gated later in this plan.
fn proof(view: &View<'_>, config: &SetConfig, departing: &MemberConfig, cx: &Cx<'_>) -> Result<(), String> {
    if departing.delay() > 0 {
        return Err(format!(
            "it stays {} s behind on purpose, and what it keeps of the past is nowhere else",
            departing.delay()
        ));
    }
    let mut is_electable = false;
    for member in view.listed() {
        let name = view.names.of(member.host);
        let Some(staying) = config.member(name) else {
            return Err(format!("{} is to stay, and is not in the set yet", member.host));
        };
        is_electable |= staying.votes() && staying.priority() > 0.0;
        // A member that this plan grants a vote, or starts, has a gate.
        let now = view.config.as_ref().and_then(|now| now.member(name));
        let is_granted = staying.votes() && !now.is_some_and(|now| now.votes());
        if !is_granted && !starts(view, member, cx) {
            available(view, member)?;
        }
    }
    if !is_electable {
        return Err("no member that stays could be the primary".to_owned());
    }
    Ok(())
}

impl DepartingMember {
    /// Refuses its removal.
    pub(crate) fn refusal(&self, view: &View<'_>, why: &str) -> Refusal {
        let (name, host) = (&self.name, &self.host);
        let refusal = Refusal::new(
            format!("{name} is not removed from the set"),
            format!("the inventory does not list it, and {why}"),
            "mend that and plan again, list it in the inventory, or allow its removal",
        );
        let refusal = refusal.on(host).unless_allowed(REMOVE, host);
        // What stands against it may be no more than a member that comes back.
        let is_passing = view.listed().iter().any(|member| is_coming(view, member));
        if is_passing { refusal.passing() } else { refusal }
    }

    /// Notes that its server is not stopped where its host is out of reach.
    pub(crate) fn note_out_of_reach(&self, view: &View<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
        let (name, host, unit) = (&self.name, &self.host, &view.settings.unit);
        if cx.others.contains(host) || view.settings.hosts.contains(host) {
            return;
        }
        let text = format!(
            "{name} leaves the set, and {unit} is not stopped on {host}, which cannot be reached: if the host comes back, stop \
             and disable it there, or plan again with the host under [hosts]"
        );
        all.note(Level::Warning, None, text);
    }
}
