//! Gates: what tasks wait for, and for how long.

use plan::Gate;
use types::HostName;

use super::check::Check;
use crate::observe::{View, queries};
use formats::engine::Engine;
use kit::Cx;

/// A master waits for its own data only.
const SERVING: u64 = 600_000;
/// A replica may need a whole copy.
const CAUGHT_UP: u64 = 3_600_000;
/// Within the pause of writes.
const LEVEL: u64 = 5_000;
/// Sentinel takes a master that is made a replica for down 50 s later.
const LEVEL_UNPAUSED: u64 = 20_000;
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
    let limit = match view.settings.engine {
        Engine::Kvrocks => LEVEL_UNPAUSED,
        Engine::Redis | Engine::Valkey => LEVEL,
    };
    gate(view, cx, &Check::ReplicasLevel, Some(master), title, limit)
}

pub(crate) fn promoted(view: &View<'_>, cx: &Cx<'_>, old: &HostName) -> Gate {
    let title = format!("every sentinel knows of the master after {old}");
    gate(view, cx, &Check::Promoted, Some(old), title, FAILOVER)
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

pub(crate) fn staying(view: &View<'_>, cx: &Cx<'_>, departing: &HostName) -> Gate {
    let title = format!("all members serve, have all data, and elect without {departing}");
    gate(view, cx, &Check::Staying, Some(departing), title, CAUGHT_UP)
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
