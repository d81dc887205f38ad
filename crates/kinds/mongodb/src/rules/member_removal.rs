//! Members that the inventory does not list any more: which of them may go, and on what proof.
//!
//! That a host is taken from the list is the whole request. It is granted where nothing can be lost by it: everybody
//! that stays is well and has the data, and they make a majority without it. Else the operator has to say so.

use plan::{Consent, Level, Refusal};
use types::HostName;

use crate::observe::view::View;
use crate::status;
use crate::steps::check::REMOVE;
use crate::steps::initiate;
use crate::steps::start::starts;
use formats::replset::{Member, SetConfig, host_of};
use kit::{Cx, StepPlan};

/// A member that goes.
pub(crate) struct Departure {
    /// Its name in the set.
    pub(crate) name: String,
    /// Its host.
    pub(crate) host: HostName,
    /// Whether it does its part until then.
    pub(crate) serves: bool,
    /// Whether the operator answers for it; else, it needs the proof at the moment of acting too.
    pub(crate) is_allowed: bool,
}

/// The configuration that is in force once the earlier steps of this plan are done.
pub(crate) fn config_by_then(view: &View<'_>, cx: &Cx<'_>) -> Option<SetConfig> {
    let reconfigured = cx.earlier.iter().rev().find_map(|task| {
        let command = initiate::first_command(task)?;
        let (name, document) = command.fields.first()?;
        (name == "replSetReconfig").then(|| SetConfig::read(document))
    });
    reconfigured.or(view.config())
}

/// The members that go, each with why it must not.
pub(crate) fn departures(
    view: &View<'_>,
    config: &SetConfig,
    cx: &Cx<'_>,
) -> Vec<(Departure, Result<(), String>)> {
    let settings = view.settings;
    let members = config.members().into_iter();
    let strangers = members.filter(|member| settings.host_of(member.name()).is_none());
    let going = strangers.filter_map(|member| {
        let host = host_of(member.name())?;
        let is_allowed = cx.is_allowed(REMOVE, &host);
        // One that is listed, and known by another port, is the business of the step `check`.
        if settings.hosts.contains(&host) && !is_allowed {
            return None;
        }
        let proof = if is_allowed {
            Ok(())
        } else {
            proof(view, config, &member, cx)
        };
        let departure = Departure {
            name: member.name().to_owned(),
            host,
            serves: view.seen_as(member.name()).is_some_and(|seen| seen.serves()),
            is_allowed,
        };
        Some((departure, proof))
    });
    going.collect()
}

/// That nothing is lost with a member, as far as can be seen now and is seen to before.
fn proof(view: &View<'_>, config: &SetConfig, going: &Member, cx: &Cx<'_>) -> Result<(), String> {
    let settings = view.settings;
    if going.delay() > 0 {
        return Err(format!(
            "it stays {} s behind on purpose, and what it keeps of the past is nowhere else",
            going.delay()
        ));
    }
    let now = view.config();
    let mut leads = false;
    for node in &view.nodes {
        let name = settings.member_name(node.host);
        let Some(member) = config.member(&name) else {
            return Err(format!("{} is to stay, and is not in the set yet", node.host));
        };
        leads |= member.votes() && member.priority() > 0.0;
        // Who gets its vote in this plan, or is started by it, is waited for.
        let voted = now
            .as_ref()
            .and_then(|now| now.member(&name))
            .is_some_and(|it| it.votes());
        let is_seen_to = (member.votes() && !voted) || starts(view, node, cx);
        if !is_seen_to {
            status::serves(view, node)?;
        }
    }
    if !leads {
        return Err("nobody that stays could be the primary".to_owned());
    }
    Ok(())
}

/// Why a member does not go.
pub(crate) fn refusal(departure: &Departure, why: &str) -> Refusal {
    let Departure { name, host, .. } = departure;
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{name} is not removed from the set"),
        why: format!("the inventory does not list it, and {why}"),
        way_out: "mend that and plan again, list it in the inventory, or allow its removal".to_owned(),
        consent: Some(Consent {
            action: REMOVE.to_owned(),
            host: host.clone(),
        }),
    }
}

/// Says of members that go what this plan cannot do on their hosts.
pub(crate) fn note_out_of_reach(view: &View<'_>, departure: &Departure, cx: &Cx<'_>, all: &mut StepPlan) {
    let Departure { name, host, .. } = departure;
    if cx.others.contains(host) || view.settings.hosts.contains(host) {
        return;
    }
    let unit = &view.settings.unit;
    let text = format!(
        "{name} leaves the set, and {unit} is not stopped on {host}, which cannot be reached: if the host comes back, stop \
         and disable it there, or plan again with the host under [hosts]"
    );
    all.note(Level::Warning, None, text);
}
