//! Gates: the conditions that steps wait for.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Facts, Gate, Verdict};
use types::HostName;

use crate::observe::{Member, View, queries};
use crate::rules::health::{answers, flows};
use crate::settings::Settings;

/// A condition on a member, and on the others that its gate watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// The member answers.
    Answers,
    /// The member answers, and all links from and to it say SYNC and have caught up.
    Linked,
    /// The member answers, and its own links say SYNC and have caught up, whatever its peers make of it.
    Filled,
    /// The canary of this value, written on the member, is on all that are watched.
    Canary(String),
    /// The member's canary is nowhere any more.
    NoCanary,
    /// The farewell of this value, written on a departing member, is on all members that are watched.
    Farewell(String),
    /// No member has a farewell any more.
    NoFarewell,
}

// Saved plans have these spellings.
kit::spell_checks!(Check {
    "answers" => Answers,
    "linked" => Linked,
    "filled" => Filled,
    "no-canary" => NoCanary,
    "no-farewell" => NoFarewell;
    "canary " + Canary,
    "farewell " + Farewell
});

impl Check {
    /// The check of a member that is started, of whose changes its peers remember so many that it has forgotten: its peers
    /// are out of sync with it until it has overtaken them.
    pub(crate) fn after_start(forgotten: u64) -> Self {
        if forgotten > 0 { Self::Filled } else { Self::Linked }
    }

    /// A gate about a member. It observes the hosts that are named, and no others: a link to one that cannot be asked says
    /// nothing.
    pub(crate) fn gate(
        &self,
        settings: &Settings,
        host: &HostName,
        watched: &[&HostName],
        limit_s: u64,
    ) -> Gate {
        let hosts = watched.iter().copied().chain([host]);
        let watch: BTreeMap<_, _> = hosts
            .map(|host| (host.clone(), queries::live(settings, host)))
            .collect();
        let title = self.title(host, watched);
        kit::checks::gate(&settings.name, self, Some(host), title, watch, limit_s * 1000)
    }

    fn title(&self, host: &HostName, watched: &[&HostName]) -> String {
        let others = watched.iter().filter(|other| **other != host);
        let others: Vec<&str> = others.map(|other| other.as_str()).collect();
        let one_or_many = |one, many| if others.len() == 1 { one } else { many };
        let list = others.join(", ");
        match self {
            Self::NoFarewell => "the farewell is gone everywhere".to_owned(),
            Self::NoCanary => format!("the canary of {host} is gone everywhere"),
            Self::Farewell(_) => {
                format!(
                    "{list} {} all that clients wrote on {host}",
                    one_or_many("has", "have")
                )
            }
            _ if others.is_empty() => format!("{host} answers"),
            Self::Answers => format!("{host} answers"),
            Self::Filled => {
                format!(
                    "{host} answers, and has copied what {list} {}",
                    one_or_many("holds", "hold")
                )
            }
            Self::Linked => format!("{host} answers, and its links with {list} are in sync"),
            Self::Canary(_) => format!("the canary of {host} is read on {list}"),
        }
    }

    fn judge(&self, view: &View<'_>, member: &Member<'_>, watched: &BTreeSet<&HostName>) -> Verdict {
        match self {
            Self::Answers => answers(view, member, true).map_or_else(|verdict| verdict, |_| Verdict::Pass),
            Self::Linked => linked(view, member, watched, true),
            Self::Filled => linked(view, member, watched, false),
            Self::Canary(value) => canary(view, member, Some(value), watched),
            Self::NoCanary => canary(view, member, None, watched),
            Self::Farewell(value) => farewell(view, member, value, watched),
            Self::NoFarewell => no_farewell(view, watched),
        }
    }
}

/// Judges a gate's check by its spelling.
pub(crate) fn judge(settings: &Settings, spelling: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(spelling, |check: Check| {
        let view = View::new(settings, facts);
        let watched = facts.hosts().map(|(host, _)| host).collect();
        match host.and_then(|host| view.hosts.any(host)) {
            Some(member) => check.judge(&view, member, &watched),
            None => Verdict::Fail(format!("the check {check} is about a host of {}", settings.name)),
        }
    })
}

fn linked(view: &View<'_>, member: &Member<'_>, watched: &BTreeSet<&HostName>, both_ways: bool) -> Verdict {
    let info = match answers(view, member, true) {
        Ok(info) => info,
        Err(verdict) => return verdict,
    };
    let leaving = view.hosts.former.iter().map(|other| other.host);
    for peer in view
        .settings
        .peers(member.host)
        .chain(leaving)
        .filter(|peer| watched.contains(peer))
    {
        let Some(other) = view.hosts.any(peer) else {
            continue;
        };
        let other = match answers(view, other, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        if let Err(verdict) = flows(view, member.host, info, peer, Some(other), true) {
            return verdict;
        }
        // A peer that does not know this host yet is restarted for it later.
        if both_ways && let Err(verdict) = flows(view, peer, other, member.host, Some(info), false) {
            return verdict;
        }
    }
    Verdict::Pass
}

/// Whether all that are watched have the canary of a value, or none has any.
fn canary(
    view: &View<'_>,
    member: &Member<'_>,
    value: Option<&str>,
    watched: &BTreeSet<&HostName>,
) -> Verdict {
    for other in view
        .hosts
        .listed
        .iter()
        .filter(|other| watched.contains(other.host))
    {
        let info = match answers(view, other, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        let seen = info.canaries.get(member.host).map(String::as_str);
        if seen != value {
            let link = view
                .link(info, member.host)
                .map_or("", |link| link.status.as_str());
            let what = if value.is_some() {
                "does not see"
            } else {
                "still has"
            };
            return Verdict::Wait(format!(
                "{} {what} the canary of {}; its link says {link}, and if that lasts, it is stalled: the next plan \
                 restarts {0}",
                other.host, member.host
            ));
        }
    }
    Verdict::Pass
}

/// Whether all members have what clients wrote on a host that leaves: what was written there last, and in its order all
/// that was written before. All of them serve, for they will be without it.
fn farewell(view: &View<'_>, member: &Member<'_>, value: &str, watched: &BTreeSet<&HostName>) -> Verdict {
    let leaving = match answers(view, member, true) {
        Ok(info) => info,
        Err(verdict) => return verdict,
    };
    for peer in view
        .hosts
        .listed
        .iter()
        .filter(|peer| watched.contains(peer.host))
    {
        let info = match answers(view, peer, false) {
            Ok(info) => info,
            Err(verdict) => return verdict,
        };
        if let Err(verdict) = flows(view, peer.host, info, member.host, Some(leaving), true) {
            return verdict;
        }
        if !view.serves(peer) || view.is_cut_off(peer) {
            return Verdict::Wait(format!("{} does not serve", peer.host));
        }
        if info.farewell.as_deref() != Some(value) {
            return Verdict::Wait(format!(
                "{} has not yet got what was written last on {}",
                peer.host, member.host
            ));
        }
    }
    Verdict::Pass
}

fn no_farewell(view: &View<'_>, watched: &BTreeSet<&HostName>) -> Verdict {
    let mut members = view
        .hosts
        .listed
        .iter()
        .filter(|peer| watched.contains(peer.host));
    let has_it = |peer: &&Member<'_>| peer.server.up().is_none_or(|info| info.farewell.is_some());
    members.find(has_it).map_or(Verdict::Pass, |peer| {
        Verdict::Wait(format!("{} still has the farewell", peer.host))
    })
}
