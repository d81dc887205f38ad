//! What is waited for.

use std::fmt;
use std::str::FromStr;

use plan::{Facts, Gate, Verdict};
use types::HostName;

use crate::observe::queries;
use crate::observe::view::View;
use crate::rules::health;
use crate::rules::member_removal;
use crate::settings::Settings;
use kit::Cx;
use kit::checks::until;

/// What a gate asks of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// A member answers with our password, and where it is a replica, has caught up with its master.
    MemberServing,
    /// The same for the node that becomes the master before anybody follows it.
    MasterServing,
    /// Each replica that follows the master has all that it has.
    ReplicasLevel,
    /// All sentinels name another master than the old one, and the old one knows it.
    NewMaster,
    /// Every engine that answers follows the master and has caught up, and the sentinels have a quorum.
    Followers,
    /// A sentinel watches the master.
    SentinelKnows,
    /// The sentinels see each other and the replicas, and have a quorum.
    SentinelAgrees,
    /// All members are available, and their sentinels elect without a departing member.
    Staying,
    /// Every sentinel has known all members for a while.
    Found,
    /// The same, and one has forgotten this address.
    Forgotten(String),
}

/// What an address follows in the spelling of [`Check::Forgotten`].
const FORGOTTEN: &str = "forgotten=";

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemberServing => "member-serving",
            Self::MasterServing => "master-serving",
            Self::ReplicasLevel => "replicas-level",
            Self::NewMaster => "new-master",
            Self::Followers => "followers",
            Self::SentinelKnows => "sentinel-knows",
            Self::SentinelAgrees => "sentinel-agrees",
            Self::Staying => "staying",
            Self::Found => "found",
            Self::Forgotten(address) => return write!(f, "{FORGOTTEN}{address}"),
        })
    }
}

impl FromStr for Check {
    type Err = ();

    fn from_str(spelling: &str) -> Result<Self, ()> {
        Ok(match spelling {
            "member-serving" => Self::MemberServing,
            "master-serving" => Self::MasterServing,
            "replicas-level" => Self::ReplicasLevel,
            "new-master" => Self::NewMaster,
            "followers" => Self::Followers,
            "sentinel-knows" => Self::SentinelKnows,
            "sentinel-agrees" => Self::SentinelAgrees,
            "staying" => Self::Staying,
            "found" => Self::Found,
            other => Self::Forgotten(other.strip_prefix(FORGOTTEN).ok_or(())?.to_owned()),
        })
    }
}

/// What a check says of the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(check, |check: Check| {
        check.judge(&View::new(settings, facts), host)
    })
}

impl Check {
    fn judge(&self, view: &View<'_>, host: Option<&HostName>) -> Verdict {
        until(match (self, host.and_then(|host| view.member(host))) {
            (Self::Followers, _) => health::followers(view),
            (Self::SentinelAgrees, _) => health::sentinels_agree(view),
            (Self::Found, _) => member_removal::found(view),
            (_, None) => {
                let name = &view.settings.name;
                return Verdict::Fail(format!(
                    "the check {self} is about a host that {name} does not have"
                ));
            }
            (Self::MemberServing, Some(member)) => match health::goes_astray(view, member) {
                Some(why) => return Verdict::Fail(why),
                None => health::serving(view, member, false),
            },
            (Self::MasterServing, Some(member)) => health::serving(view, member, true),
            (Self::ReplicasLevel, Some(master)) => health::replicas_level(view, master),
            (Self::NewMaster, Some(old)) => health::new_master(view, old),
            (Self::SentinelKnows, Some(member)) => health::sentinel_knows(view, member),
            (Self::Staying, Some(departing)) => member_removal::staying(view, departing.host),
            (Self::Forgotten(address), Some(member)) => member_removal::forgotten(view, member, address),
        })
    }
}

/// A master has nothing to wait for but its own data.
const SERVING: u64 = 600_000;
/// A replica may need a whole copy.
const CAUGHT_UP: u64 = 3_600_000;
/// Within the time that writes are held back.
const LEVEL: u64 = 5_000;
/// `failover-timeout` is 180 s by default, and the old master learns of it some 10 s later (seen).
const FAILOVER: u64 = 300_000;
/// Sentinels learn of each other through the master within seconds, of replicas every 10 s.
const AGREED: u64 = 180_000;

pub(crate) fn member_serving(view: &View<'_>, cx: &Cx<'_>, host: &HostName, is_master: bool) -> Gate {
    if is_master {
        gate(
            view,
            cx,
            &Check::MasterServing,
            Some(host),
            format!("{host} serves"),
            SERVING,
        )
    } else {
        let title = format!("{host} serves and has caught up");
        gate(view, cx, &Check::MemberServing, Some(host), title, CAUGHT_UP)
    }
}

pub(crate) fn replicas_level(view: &View<'_>, cx: &Cx<'_>, master: &HostName) -> Gate {
    let title = format!("all replicas of {master} have all of its data");
    gate(view, cx, &Check::ReplicasLevel, Some(master), title, LEVEL)
}

pub(crate) fn new_master(view: &View<'_>, cx: &Cx<'_>, old: &HostName) -> Gate {
    let title = format!("all sentinels name another master than {old}");
    gate(view, cx, &Check::NewMaster, Some(old), title, FAILOVER)
}

pub(crate) fn followers(view: &View<'_>, cx: &Cx<'_>) -> Gate {
    let title = "every replica follows the master and has caught up".to_owned();
    gate(view, cx, &Check::Followers, None, title, CAUGHT_UP)
}

pub(crate) fn sentinel_knows(view: &View<'_>, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!(
        "the sentinel on {host} watches {}",
        view.settings.sentinel.master_name
    );
    gate(view, cx, &Check::SentinelKnows, Some(host), title, AGREED)
}

pub(crate) fn staying(view: &View<'_>, cx: &Cx<'_>, leaver: &HostName) -> Gate {
    let title = format!("all members serve, have all data, and elect without {leaver}");
    gate(view, cx, &Check::Staying, Some(leaver), title, CAUGHT_UP)
}

pub(crate) fn found(view: &View<'_>, cx: &Cx<'_>) -> Gate {
    let title = "every sentinel has known all members for 30 s".to_owned();
    gate(view, cx, &Check::Found, None, title, AGREED)
}

pub(crate) fn forgotten(view: &View<'_>, cx: &Cx<'_>, host: &HostName, address: &str) -> Gate {
    let title = format!("the sentinel on {host} has known all members for 30 s, and not {address}");
    gate(
        view,
        cx,
        &Check::Forgotten(address.to_owned()),
        Some(host),
        title,
        AGREED,
    )
}

pub(crate) fn sentinel_agrees(view: &View<'_>, cx: &Cx<'_>) -> Gate {
    let title = "the sentinels see each other and all replicas, and have a quorum".to_owned();
    gate(view, cx, &Check::SentinelAgrees, None, title, AGREED)
}

fn gate(
    view: &View<'_>,
    cx: &Cx<'_>,
    check: &Check,
    host: Option<&HostName>,
    title: String,
    limit_ms: u64,
) -> Gate {
    // The master may be a departing member.
    let former = view.former().into_iter().map(|former| former.host);
    let former = former.filter(|host| cx.others.contains(host));
    let watched = cx.hosts.iter().chain(former);
    let watch = watched.map(|host| (host.clone(), queries::live(view.settings, host)));
    kit::checks::gate(&view.settings.name, check, host, title, watch.collect(), limit_ms)
}
