//! What is waited for after a change.

use std::collections::BTreeMap;

use plan::Gate;
use protocol::Query as _;
use types::HostName;

use crate::observe::queries;
use crate::settings::Settings;
use kit::Cx;

/// The quorum has one leader, and all members that can be seen follow it.
pub(crate) const QUORUM: &str = "quorum";
/// The same, and the servers have their sessions with it.
pub(crate) const REACHED: &str = "reached";
/// The member of the quorum answers, whether it serves or not.
pub(crate) const MEMBER_UP: &str = "member-up";
/// The server knows the cluster, and our user may log in.
pub(crate) const LOADED: &str = "loaded";
/// The same, and its replicated tables are writable and have caught up; within it Keeper follows or leads.
pub(crate) const SERVING: &str = "serving";

/// What a former member has, others have, who have caught up; and the quorum does without it.
pub(crate) const COVERED: &str = "covered";
/// A member that is to leave follows or leads for as long as it counts.
pub(crate) const VOTES: &str = "votes";
/// The other members of the quorum, those that are to leave among them, are a majority by themselves.
pub(crate) const SPARE: &str = "spare";
/// The same, while all look for a leader and come to no choice.
pub(crate) const SPARE_IN_VAIN: &str = "spare-in-vain";
/// The cluster is well without it.
pub(crate) const LEFT: &str = "left";

/// How long an election may take: ZooKeeper needs seconds, Keeper gives up after 30 s; a busy host needs more.
const ELECTION: u64 = 180_000;
/// How long a server may need to load its tables and catch up.
const CATCH_UP: u64 = 600_000;
/// How long a configuration may need to be loaded: names are resolved first.
const LOAD: u64 = 60_000;

pub(crate) fn quorum(settings: &Settings, cx: &Cx<'_>) -> Gate {
    gate(
        settings,
        cx,
        QUORUM,
        None,
        "the quorum has one leader, and the others follow".to_owned(),
        ELECTION,
    )
}

pub(crate) fn reached(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "the quorum has one leader, the others follow, and the servers reach it".to_owned();
    gate(settings, cx, REACHED, None, title, CATCH_UP)
}

pub(crate) fn member_up(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the {} on {host} answers", settings.coordinator());
    gate(settings, cx, MEMBER_UP, Some(host), title, ELECTION)
}

pub(crate) fn loaded(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("{host} knows the cluster {}", settings.cluster);
    gate(settings, cx, LOADED, Some(host), title, LOAD)
}

pub(crate) fn serving(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("{host} answers, knows all replicas, and its tables are writable and have caught up");
    gate(settings, cx, SERVING, Some(host), title, CATCH_UP)
}

pub(crate) fn covered(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the quorum does without {host}, and others have all that it has");
    let mut gate = gate(settings, cx, COVERED, None, title, CATCH_UP);
    gate.host = Some(host.clone());
    gate.watch.insert(host.clone(), queries::live(settings, host));
    gate
}

pub(crate) fn votes(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("one of those that stay leads the quorum, and {host} follows");
    let mut gate = gate(settings, cx, VOTES, None, title, ELECTION);
    gate.host = Some(host.clone());
    gate.watch.insert(host.clone(), queries::live(settings, host));
    gate
}

pub(crate) fn spare(settings: &Settings, cx: &Cx<'_>, check: &str, host: &HostName) -> Gate {
    let title = format!("the quorum can spare {host}");
    let mut gate = gate(settings, cx, check, None, title, ELECTION);
    gate.host = Some(host.clone());
    // A Keeper does not tell who the members are; its leader's file does.
    let file = settings
        .keeper()
        .map(|_| queries::config_file(settings, "keeper").wrap());
    for other in cx.hosts.iter().chain(cx.others) {
        let queries = queries::live(settings, other).into_iter().chain(file.clone());
        gate.watch.insert(other.clone(), queries.collect());
    }
    gate
}

pub(crate) fn left(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the others are well without {host}");
    let mut gate = gate(settings, cx, LEFT, None, title, CATCH_UP);
    gate.host = Some(host.clone());
    gate
}

fn gate(
    settings: &Settings,
    cx: &Cx<'_>,
    check: &str,
    host: Option<&HostName>,
    title: String,
    limit_ms: u64,
) -> Gate {
    // A quorum is judged by all its members; a server speaks for itself, unless it is a member as well.
    let is_common = host.is_none() || settings.keeper().is_some();
    let watched = cx
        .hosts
        .iter()
        .filter(|watched| is_common || host == Some(watched));
    let watch: BTreeMap<_, _> = watched
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
