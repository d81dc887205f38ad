//! What is waited for.

use std::collections::BTreeMap;

use plan::Gate;
use types::HostName;

use super::queries;
use super::settings::Settings;
use super::view::View;
use kit::Cx;

/// A member answers with our password, and where it is a replica, has caught up with its master.
pub(super) const MEMBER_SERVING: &str = "member-serving";
/// The same for the node that becomes the master before anybody follows it.
pub(super) const MASTER_SERVING: &str = "master-serving";
/// Each replica that follows the master has all that it has.
pub(super) const REPLICAS_LEVEL: &str = "replicas-level";
/// All sentinels name another master than the old one, and the old one knows it.
pub(super) const NEW_MASTER: &str = "new-master";
/// Whoever answers follows the master and has caught up, and the sentinels have a quorum.
pub(super) const FOLLOWERS: &str = "followers";
/// A sentinel watches the master.
pub(super) const SENTINEL_KNOWS: &str = "sentinel-knows";
/// All members serve, and their sentinels elect without a host that leaves.
pub(super) const STAYING: &str = "staying";
/// Every sentinel has found everybody again, a while ago.
pub(super) const FOUND: &str = "found";
/// The same, and one has forgotten the address that follows.
pub(super) const FORGOTTEN: &str = "forgotten=";
/// The sentinels see each other and the replicas, and have a quorum.
pub(super) const SENTINEL_AGREES: &str = "sentinel-agrees";

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

pub(super) fn member_serving(settings: &Settings, cx: &Cx<'_>, host: &HostName, is_master: bool) -> Gate {
    if is_master {
        gate(
            settings,
            cx,
            MASTER_SERVING,
            Some(host),
            format!("{host} serves"),
            SERVING,
        )
    } else {
        let title = format!("{host} serves and has caught up");
        gate(settings, cx, MEMBER_SERVING, Some(host), title, CAUGHT_UP)
    }
}

pub(super) fn replicas_level(settings: &Settings, cx: &Cx<'_>, master: &HostName) -> Gate {
    let title = format!("all replicas of {master} have all of its data");
    gate(settings, cx, REPLICAS_LEVEL, Some(master), title, LEVEL)
}

pub(super) fn new_master(settings: &Settings, cx: &Cx<'_>, old: &HostName) -> Gate {
    let title = format!("all sentinels name another master than {old}");
    gate(settings, cx, NEW_MASTER, Some(old), title, FAILOVER)
}

pub(super) fn followers(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "every replica follows the master and has caught up".to_owned();
    gate(settings, cx, FOLLOWERS, None, title, CAUGHT_UP)
}

pub(super) fn sentinel_knows(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the sentinel on {host} watches {}", settings.sentinel.master_name);
    gate(settings, cx, SENTINEL_KNOWS, Some(host), title, AGREED)
}

pub(super) fn staying(settings: &Settings, cx: &Cx<'_>, leaver: &HostName) -> Gate {
    let title = format!("all members serve, have all data, and elect without {leaver}");
    gate(settings, cx, STAYING, Some(leaver), title, CAUGHT_UP)
}

pub(super) fn found(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "every sentinel has known all members for 30 s".to_owned();
    gate(settings, cx, FOUND, None, title, AGREED)
}

pub(super) fn forgotten(settings: &Settings, cx: &Cx<'_>, host: &HostName, address: &str) -> Gate {
    let title = format!("the sentinel on {host} has known all members for 30 s, and not {address}");
    gate(
        settings,
        cx,
        &format!("{FORGOTTEN}{address}"),
        Some(host),
        title,
        AGREED,
    )
}

pub(super) fn sentinel_agrees(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "the sentinels see each other and all replicas, and have a quorum".to_owned();
    gate(settings, cx, SENTINEL_AGREES, None, title, AGREED)
}

fn gate(
    settings: &Settings,
    cx: &Cx<'_>,
    check: &str,
    host: Option<&HostName>,
    title: String,
    limit_ms: u64,
) -> Gate {
    let view = View::new(settings, cx.facts);
    // The master may be one that leaves.
    let former = view.former().into_iter().map(|former| former.host);
    let former = former.filter(|host| cx.others.contains(host));
    let watch: BTreeMap<_, _> = cx
        .hosts
        .iter()
        .chain(former)
        .map(|host| (host.clone(), queries::live(settings, host)))
        .collect();
    Gate {
        service: Some(settings.name.clone()),
        check: check.to_owned(),
        host: host.cloned(),
        title,
        watch,
        limit_ms,
    }
}
