//! A member of the quorum is restarted only while the others are a majority by themselves.
//!
//! The quorum is what its leader has, which may be more than the inventory names: a member that is to leave counts until
//! the others have learned of it, and a dead one takes the majority from a quorum that is otherwise whole.

use plan::{Consent, Facts, Refusal};
use protocol::UnitVerb;
use types::HostName;

use super::gates;
use super::need::Need;
use super::quorum::{self, Peer, Quorum};
use super::settings::Settings;
use super::zoo;
use crate::step::{Cx, Task};

/// The consent to do without a quorum while a member restarts.
const CONSENT: &str = "clickhouse.outage";

/// Why a member is not restarted; `None` where the others are enough. A quorum of two is none without either of them, which
/// is said when the inventory is read; there, all that are left must serve.
///
/// `restarted` are those that this plan restarts one after another: each is there again before the next.
pub(super) fn refusal(
    settings: &Settings,
    host: &HostName,
    restarted: &[HostName],
    need: &Need,
    cx: &Cx<'_>,
) -> Option<Refusal> {
    let quorum = Quorum::find(settings, cx.facts);
    let own = quorum.on(host).filter(|member| member.peer.is_serving())?;
    let wanted = || settings.members().iter().map(HostName::to_string).collect();
    let names: Vec<String> = quorum::current(settings, &quorum, cx.facts).unwrap_or_else(wanted);
    let majority = names.len() / 2 + 1;
    let others: Vec<&String> = names.iter().filter(|name| **name != own.name).collect();
    let missing: Vec<&str> = others
        .iter()
        .filter(|name| !is_there(settings, name, restarted, cx))
        .map(|name| name.as_str())
        .collect();
    let there = others.len() - missing.len();
    let all_follow = matches!(
        quorum.leader().map(|leader| &leader.peer),
        Some(Peer::Leader(Some(followers))) if *followers + 1 >= names.len()
    );
    // Of two, each restart takes it; there, all that are wanted must serve.
    let is_small = settings.members().len() < 3;
    let is_wanted = |name: &&&str| settings.members().iter().any(|host| host.as_str() == **name);
    let missing: Vec<&str> = missing
        .iter()
        .filter(|name| !is_small || is_wanted(name))
        .copied()
        .collect();
    if all_follow || there >= majority || missing.is_empty() || cx.is_allowed(CONSENT, host) {
        return None;
    }
    Some(Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} is not restarted ({})", need.reason),
        why: format!(
            "the quorum of {} would be lost while it is down, for {} does not serve",
            names.join(", "),
            missing.join(", ")
        ),
        way_out: "bring the missing members back first; or allow that for some seconds nothing is written"
            .to_owned(),
        consent: Some(Consent {
            action: CONSENT.to_owned(),
            host: host.clone(),
        }),
    })
}

/// Whether the others are a majority now: the plan's own answer may be older than a member's end. A quorum of two has none
/// to spare, and what the operator allowed is not asked about.
pub(super) fn spares(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let quorum = Quorum::find(settings, facts);
    let is_voter = quorum::peer_on(settings, host, facts).is_serving();
    if settings.members().len() < 3 || !is_voter {
        return Ok(());
    }
    // A Keeper tells nobody who the others are: its leader's file may be ahead of it.
    let Some(conf) = quorum.members.iter().find_map(|member| member.conf.as_deref()) else {
        return Ok(());
    };
    let names: Vec<String> = quorum::current(settings, &quorum, facts)
        .unwrap_or_else(|| zoo::servers(conf).into_iter().map(|(_, name)| name).collect());
    let known: Vec<&HostName> = settings.hosts.iter().chain(&settings.others).collect();
    let serves = |name: &&String| {
        let host = known.iter().find(|host| host.as_str() == name.as_str());
        host.is_some_and(|host| quorum::peer_on(settings, host, facts).is_serving())
    };
    let others = names.iter().filter(|name| name.as_str() != host.as_str());
    let (there, missing): (Vec<&String>, Vec<&String>) = others.partition(serves);
    let list: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
    if names.len() < 3 || there.len() > names.len() / 2 {
        Ok(())
    } else {
        Err(format!(
            "of {} only {} others serve, without {}",
            names.len(),
            there.len(),
            list.join(", ")
        ))
    }
}

/// Takes a member away only while the quorum can spare it, unless that was consented to.
pub(super) fn guarded(task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    let host = task.host.clone();
    if cx.is_allowed(CONSENT, &host) {
        task
    } else {
        task.before(gates::spare(settings, cx, &host))
    }
}

/// Whether another member serves by the time: it does now, or this plan starts it before.
fn is_there(settings: &Settings, name: &str, restarted: &[HostName], cx: &Cx<'_>) -> bool {
    let known = settings.hosts.iter().chain(&settings.others);
    let Some(host) = known.into_iter().find(|host| host.as_str() == name) else {
        return false;
    };
    let unit = settings
        .zookeeper()
        .map_or(&settings.unit, |zookeeper| &zookeeper.unit);
    quorum::peer_on(settings, host, cx.facts).is_serving()
        || cx.tells(host, unit, UnitVerb::Start)
        || restarted.contains(host)
}
