//! The checks of gates, and the gates.

use plan::{Facts, Gate, Verdict};
use protocol::Query as _;
use types::HostName;

use crate::observe::coordination::queries::zoo_cfg;
use crate::observe::queries;
use crate::observe::server::queries::config_file;
use crate::observe::view::View;
use crate::rules::coordination::health as coordination;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::quorum_guard::{self, CONSENT};
use crate::rules::server::former_member::is_covered;
use crate::rules::server::health as server;
use crate::settings::Settings;
use kit::checks::until;
use kit::{Cx, Task};

/// A question of a gate to the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The quorum has one leader, and all members that can be asked follow it.
    Quorum,
    /// The same, and the servers have their sessions with it.
    Reached,
    /// A server has its session with the quorum, and so have all others that answer.
    Sessions,
    /// A voter answers, whether it is in the quorum or not.
    MemberUp,
    /// A server knows the cluster, and our user may log in.
    Loaded,
    /// The same, and its replicated tables are writable and have caught up; its Keeper is in the quorum.
    Serving,
    /// The same, and it has all replicated tables of the other members, with their data.
    Fetched,
    /// Members have all that a former member has, and have caught up; the quorum does without it.
    Covered,
    /// A departing voter is in the quorum for as long as it counts.
    Votes,
    /// The other voters of the quorum, departing ones among them, are a majority by themselves.
    Spare,
    /// The same, while all look for a leader and come to no choice.
    SpareInVain,
    /// The cluster is healthy without a former member.
    Left,
}

kit::spell_checks!(Check {
    "quorum" => Quorum,
    "reached" => Reached,
    "sessions" => Sessions,
    "member-up" => MemberUp,
    "loaded" => Loaded,
    "serving" => Serving,
    "fetched" => Fetched,
    "covered" => Covered,
    "votes" => Votes,
    "spare" => Spare,
    "spare-in-vain" => SpareInVain,
    "left" => Left
});

/// Judges a check by its spelling.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(check, |check: Check| {
        let view = View::new(settings, facts);
        check.judge(&Quorum::of_inventory(&view), host)
    })
}

impl Check {
    fn judge(self, quorum: &Quorum<'_>, host: Option<&HostName>) -> Verdict {
        let view = quorum.view;
        let member = host.and_then(|host| view.member(host));
        until(match (self, host, member) {
            (Self::Quorum, ..) => coordination::has_quorum(quorum),
            (Self::Reached, ..) => coordination::has_quorum(quorum).and_then(|()| server::sessions(view)),
            (Self::Left, ..) => server::healthy(quorum),
            (Self::MemberUp, Some(host), _) => coordination::member_up(quorum, host),
            (Self::Votes, Some(host), _) => {
                coordination::has_quorum(quorum).and_then(|()| coordination::votes(quorum, host))
            }
            (Self::Spare | Self::SpareInVain, Some(host), _) => {
                quorum_guard::spares(quorum, host, self == Self::SpareInVain)
            }
            (Self::Sessions, _, Some(member)) => {
                server::sessions(view).and_then(|()| member.live().map(|_| ()).map_err(str::to_owned))
            }
            (Self::Loaded, _, Some(member)) => server::loaded(view.settings, member).map(|_| ()),
            (Self::Serving, _, Some(member)) => server::serving(quorum, member),
            (Self::Fetched, _, Some(member)) => {
                server::serving(quorum, member).and_then(|()| server::fetched(view, member))
            }
            (Self::Covered, _, Some(member)) => server::healthy(quorum)
                .and_then(|()| coordination::is_without(quorum, member.host))
                .and_then(|()| is_covered(view, member)),
            _ => {
                let name = &view.settings.name;
                return Verdict::Fail(format!(
                    "the check {self} is about a host that {name} does not have"
                ));
            }
        })
    }
}

/// How long an election may take: ZooKeeper needs seconds, Keeper gives up after 30 s; a busy host needs more.
const ELECTION: u64 = 180_000;
/// How long a server may need to load its tables and catch up.
const CATCH_UP: u64 = 600_000;
/// How long a new replica may need to fetch all data.
const FETCH: u64 = 24 * 3_600_000;
/// How long a configuration may need to be loaded: names are resolved first.
const LOAD: u64 = 60_000;

pub(crate) fn quorum(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "the quorum has one leader, and the others follow";
    gate(settings, cx, Check::Quorum, None, title, ELECTION)
}

pub(crate) fn reached(settings: &Settings, cx: &Cx<'_>) -> Gate {
    let title = "the quorum has one leader, the others follow, and the servers reach it";
    gate(settings, cx, Check::Reached, None, title, CATCH_UP)
}

pub(crate) fn sessions(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = "the quorum is elected, and the servers have their sessions with it";
    gate(settings, cx, Check::Sessions, Some(host), title, ELECTION)
}

/// The quorum, and the servers' sessions after a voter was restarted; unless one had none before, for then its own restart,
/// later in this plan, is what it needs.
pub(crate) fn reached_again(view: &View<'_>, cx: &Cx<'_>) -> Gate {
    match server::sessions(view) {
        Ok(()) => reached(view.settings, cx),
        Err(_) => quorum(view.settings, cx),
    }
}

pub(crate) fn member_up(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the {} on {host} answers", settings.coordinator());
    gate(settings, cx, Check::MemberUp, Some(host), title, ELECTION)
}

pub(crate) fn loaded(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("{host} knows the cluster {}", settings.cluster);
    gate(settings, cx, Check::Loaded, Some(host), title, LOAD)
}

pub(crate) fn serving(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("{host} answers, knows all replicas, and its tables are writable and have caught up");
    gate(settings, cx, Check::Serving, Some(host), title, CATCH_UP)
}

pub(crate) fn fetched(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("{host} has all replicated tables of the other members, and their data");
    gate(settings, cx, Check::Fetched, Some(host), title, FETCH)
}

pub(crate) fn covered(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the quorum does without {host}, and others have all that it has");
    let mut gate = gate(settings, cx, Check::Covered, Some(host), title, CATCH_UP);
    gate.watch.insert(host.clone(), queries::live(settings));
    gate
}

pub(crate) fn votes(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("one of those that stay leads the quorum, and {host} follows");
    let mut gate = gate(settings, cx, Check::Votes, Some(host), title, ELECTION);
    gate.watch.insert(host.clone(), queries::live(settings));
    gate
}

pub(crate) fn left(settings: &Settings, cx: &Cx<'_>, host: &HostName) -> Gate {
    let title = format!("the others are well without {host}");
    gate(settings, cx, Check::Left, Some(host), title, CATCH_UP)
}

/// Takes a voter away only while the quorum can spare it, unless that was consented to. Where the voters look for a leader
/// in vain, it can where enough others are left to choose one.
pub(crate) fn guarded(task: Task, settings: &Settings, in_vain: bool, cx: &Cx<'_>) -> Task {
    if cx.is_allowed(CONSENT, &task.host) {
        return task;
    }
    let check = if in_vain { Check::SpareInVain } else { Check::Spare };
    let title = format!("the quorum can spare {}", task.host);
    let mut gate = gate(settings, cx, check, Some(&task.host), title, ELECTION);
    // A Keeper does not tell who the members are, nor does a ZooKeeper that does not allow the word: its file does.
    let file = match settings.zookeeper() {
        Some(zookeeper) => Some(zoo_cfg(zookeeper).wrap()),
        None => settings.keeper().map(|_| config_file(settings, "keeper").wrap()),
    };
    for other in cx.hosts.iter().chain(cx.others) {
        let queries = queries::live(settings).into_iter().chain(file.clone());
        gate.watch.insert(other.clone(), queries.collect());
    }
    task.before(gate)
}

fn gate(
    settings: &Settings,
    cx: &Cx<'_>,
    check: Check,
    host: Option<&HostName>,
    title: impl Into<String>,
    limit_ms: u64,
) -> Gate {
    // A quorum is judged by all its voters; a server speaks for itself, unless it is a voter as well.
    let is_of_server = matches!(check, Check::MemberUp | Check::Loaded | Check::Serving);
    let watches_all = !is_of_server || settings.keeper().is_some();
    let watched = cx
        .hosts
        .iter()
        .filter(|watched| watches_all || host == Some(watched));
    let watch = watched
        .map(|host| (host.clone(), queries::live(settings)))
        .collect();
    kit::checks::gate(&settings.name, &check, host, title, watch, limit_ms)
}
