//! A member of the quorum is restarted only while the others are a majority by themselves.
//!
//! The quorum is what its leader has, which may be more than the inventory names: a member that is to leave counts until
//! the others have learned of it, and a dead one takes the majority from a quorum that is otherwise whole.

use plan::{Consent, Facts, Refusal};
use protocol::UnitVerb;
use types::HostName;

use crate::checks as gates;
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::coordination::rejoin as stranded;
use crate::rules::need::Need;
use crate::settings::Settings;
use kit::{Cx, Task};

/// The consent to do without a quorum while a member restarts.
const CONSENT: &str = "clickhouse.outage";

/// Why a member is not restarted; `None` where the others are enough. A quorum of two is none without either of them, which
/// is said when the inventory is read; there, all that are left must serve.
///
/// `restarted` are those that this plan restarts one after another: each is there again before the next.
pub(crate) fn refusal(
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
    // A leader counts those too that it leads and that have no vote yet (`Leader.addForwardingFollower`).
    let known = settings.hosts.iter().chain(&settings.others);
    let has_no_vote = |host: &&HostName| {
        !names.iter().any(|name| name == host.as_str())
            && quorum::peer_on(settings, host, cx.facts).is_serving()
    };
    let more = known.filter(has_no_vote).count();
    let all_follow = matches!(
        quorum.leader().map(|leader| &leader.peer),
        Some(Peer::Leader(Some(followers))) if followers.saturating_add(1) >= names.len() + more
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
///
/// Whoever serves nobody is spared where others lead and follow. While a leader is looked for it is one of those that
/// choose, and as good as one that serves, unless they look in vain; and what is not known proves nothing.
pub(crate) fn spares(
    settings: &Settings,
    host: &HostName,
    is_in_vain: bool,
    facts: &Facts,
) -> Result<(), String> {
    if settings.members().len() < 3 {
        return Ok(());
    }
    let own = quorum::peer_on(settings, host, facts);
    match &own {
        Peer::Down(_) | Peer::Standalone(_) => return Ok(()),
        Peer::Unknown(why) => return Err(why.clone()),
        Peer::Leader(_) | Peer::Follower | Peer::Waiting => {}
    }
    let quorum = Quorum::find(settings, facts);
    let wanted = || settings.members().iter().map(HostName::to_string).collect();
    let names: Vec<String> = quorum::current(settings, &quorum, facts).unwrap_or_else(wanted);
    let peer = |name: &str| {
        let mut known = settings.hosts.iter().chain(&settings.others);
        let host = known.find(|host| host.as_str() == name)?;
        Some(quorum::peer_on(settings, host, facts))
    };
    let others = names.iter().filter(|name| name.as_str() != host.as_str());
    let serves = |name: &&String| peer(name).is_some_and(|peer| peer.is_serving());
    let (there, missing): (Vec<&String>, Vec<&String>) = others.partition(serves);
    if names.len() < 3 || there.len() > names.len() / 2 {
        return Ok(());
    }
    if own.is_serving() {
        let list: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        return Err(format!(
            "of {} only {} others serve, without {}",
            names.len(),
            there.len(),
            list.join(", ")
        ));
    }
    let is_led = there
        .iter()
        .any(|name| matches!(peer(name), Some(Peer::Leader(_))));
    let looks = |name: &&&String| peer(name) == Some(Peer::Waiting);
    let choosing = 1 + there.len() + missing.iter().filter(looks).count();
    let can_others = is_in_vain && choosing - 1 > names.len() / 2;
    if is_led || choosing <= names.len() / 2 || can_others {
        Ok(())
    } else {
        Err(format!("{choosing} of {} members look for a leader", names.len()))
    }
}

/// Takes a member away only while the quorum can spare it, unless that was consented to.
pub(crate) fn guarded(task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    guarded_by(gates::SPARE, task, settings, cx)
}

/// The same where members look for a leader in vain: one may go where enough others are left to choose one.
pub(crate) fn guarded_in_vain(task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    guarded_by(gates::SPARE_IN_VAIN, task, settings, cx)
}

fn guarded_by(check: &str, task: Task, settings: &Settings, cx: &Cx<'_>) -> Task {
    if cx.is_allowed(CONSENT, &task.host) {
        return task;
    }
    let gate = gates::spare(settings, cx, check, &task.host);
    task.before(gate)
}

/// Whether another member serves by the time: it does now, or this plan starts it before, anew where it serves nobody. One
/// that is led back to the quorum first does not know all that the others will, and would not follow just any of them.
fn is_there(settings: &Settings, name: &str, restarted: &[HostName], cx: &Cx<'_>) -> bool {
    let known = settings.hosts.iter().chain(&settings.others);
    let Some(host) = known.into_iter().find(|host| host.as_str() == name) else {
        return false;
    };
    let unit = settings.quorum_unit();
    let is_told = || {
        cx.tells(host, unit, UnitVerb::Start)
            || cx.tells(host, unit, UnitVerb::Restart)
            || restarted.contains(host)
    };
    quorum::peer_on(settings, host, cx.facts).is_serving()
        || (is_told() && stranded::instead(settings, host, cx.facts).is_none())
}
