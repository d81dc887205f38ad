//! The step `check`: what stands in the way of everything, and what is worth knowing before anything is touched.

use plan::{Consent, Level, Refusal};
use protocol::facts::FileQuery;
use types::HostName;

use crate::observe::queries;
use crate::rules::coordination::quorum::{self, Peer, Quorum};
use crate::rules::need;
use crate::rules::server::config::{self, Stop};
use crate::settings::Settings;
use formats::xml;
use kit::{Cx, StepPlan};

/// The consent to lose what a ZooKeeper that runs alone holds.
const FORGET: &str = "clickhouse.forget-zookeeper";
/// How many nodes the tree of a ZooKeeper has that was never used.
const EMPTY_TREE: u64 = 5;

/// Plans the step.
///
/// `settings` are those of the first round, where a change of the quorum takes two; `last` is what is wanted in the end.
pub(crate) fn plan(settings: &Settings, last: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    if let Err(conflict) = config::ids(settings, cx.facts) {
        plan.refusals.push(common(
            "nothing is changed while the members of the quorum have no clear numbers",
            conflict.to_string(),
            "a number belongs to its member for ever: correct server_ids in the inventory, or the file that is wrong",
        ));
        return plan;
    }
    for host in cx.hosts {
        if let Err(Stop::Refused(refusal)) = config::root(settings, host, cx.facts) {
            plan.refusals.push(*refusal);
        }
        if let Some(refusal) = no_keeper(settings, host, cx) {
            plan.refusals.push(refusal);
        }
    }
    open_to_all(settings, cx, &mut plan);
    let quorum = Quorum::find(settings, cx.facts);
    alone(&quorum, cx, &mut plan);
    membership(last, cx, &mut plan);
    if plan.refusals.is_empty() {
        let starts = |host: &HostName| starts(settings, &quorum, host, cx);
        let is_allowed = |host: &HostName| cx.is_allowed(quorum::CONSENT, host);
        plan.refusals
            .extend(quorum::lost(settings, &quorum, cx.facts, starts, is_allowed));
    }
    plan
}

fn common(what: &str, why: String, way_out: &str) -> Refusal {
    Refusal {
        service: None,
        host: None,
        what: what.to_owned(),
        why,
        way_out: way_out.to_owned(),
        consent: None,
    }
}

/// Whether this plan starts a host's member of the quorum, or starts it again.
fn starts(settings: &Settings, quorum: &Quorum, host: &HostName, cx: &Cx<'_>) -> bool {
    let need = match settings.zookeeper() {
        // Its package may still be to come: then it has no unit yet.
        Some(zookeeper) => need::zookeeper(settings, zookeeper, quorum, host, cx),
        None => need::server(settings, host, cx),
    };
    need.map_or(true, |need| need.is_some_and(|need| need.starts()))
}

/// Keeper came with 21.8.
fn no_keeper(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Option<Refusal> {
    settings.keeper()?;
    let (major, minor) = config::version(settings, host, cx.facts).filter(|version| *version < (21, 8))?;
    Some(Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("nothing is changed on {host}"),
        why: format!("ClickHouse {major}.{minor} has no Keeper"),
        way_out: "set coordination = \"zookeeper\", or install 21.8 or later".to_owned(),
        consent: None,
    })
}

/// Tells of servers without a password that everybody reaches.
fn open_to_all(settings: &Settings, cx: &Cx<'_>, plan: &mut StepPlan) {
    if !settings.listens_everywhere() || settings.restrict_default_user {
        return;
    }
    let open: Vec<&str> = cx
        .hosts
        .iter()
        .filter(|host| !is_default_closed(settings, host, cx))
        .map(HostName::as_str)
        .collect();
    if open.is_empty() {
        return;
    }
    let text = format!(
        "{} listen on {} and the user default has no password: whoever reaches ports {} and {} may do anything. Set \
         restrict_default_user = true, or listen to named addresses",
        open.join(", "),
        settings.listen.join(", "),
        settings.tcp_port,
        settings.http_port
    );
    plan.note(Level::Warning, None, text);
}

/// Whether the user `default` has a password, or is kept to the loopback, as far as the files tell.
fn is_default_closed(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> bool {
    let read = |query: FileQuery| {
        let fact = cx.facts.get(host, &query).ok()?;
        xml::parse(fact.text()?.as_str()).ok()
    };
    let merged = read(queries::merged_users(settings)).or_else(|| read(queries::default_users(settings)));
    let default = merged
        .as_ref()
        .and_then(|root| root.child("users"))
        .and_then(|users| users.child("default"));
    let Some(default) = default else { return false };
    let has_password = default
        .children
        .iter()
        .any(|child| child.name.starts_with("password") && !child.text.is_empty());
    let is_local = default.child("networks").is_some_and(|networks| {
        let mut all = networks.children.iter();
        !networks.children.is_empty()
            && all.all(|one| matches!(one.text.as_str(), "::1" | "127.0.0.1" | "localhost"))
    });
    has_password || is_local
}

/// A member that runs alone and holds something would lose it to a quorum of blank ones.
fn alone(quorum: &Quorum, cx: &Cx<'_>, plan: &mut StepPlan) {
    if quorum.members.len() < 2 {
        return;
    }
    for member in &quorum.members {
        let (Some(host), Peer::Standalone(nodes)) = (&member.host, &member.peer) else {
            continue;
        };
        if *nodes > EMPTY_TREE && !cx.is_allowed(FORGET, host) {
            plan.refusals.push(Refusal {
                service: None,
                host: None,
                what: "nothing is changed while a ZooKeeper with data runs alone".to_owned(),
                why: format!("the one on {host} holds {nodes} nodes, and a quorum of new members would begin without them"),
                way_out: format!(
                    "let coordination_hosts name {host} alone, then add one member after another; or allow the loss"
                ),
                consent: Some(Consent {
                    action: FORGET.to_owned(),
                    host: host.clone(),
                }),
            });
        }
    }
}

/// A quorum that serves gets one member more, and then does with one less: with more at once, old and new majorities need
/// not overlap.
fn membership(settings: &Settings, cx: &Cx<'_>, plan: &mut StepPlan) {
    let quorum = Quorum::find(settings, cx.facts);
    let Some((added, removed)) = quorum::changes(settings, &quorum, cx.facts) else {
        return;
    };
    if settings.members().is_empty() {
        return;
    }
    let is_reached = |name: &String| cx.hosts.iter().chain(cx.others).any(|host| host.as_str() == name);
    if quorum.leader().is_none()
        && quorum.is_there()
        && let Some(name) = removed.iter().find(|name| !is_reached(name))
    {
        let what = format!("the quorum is not changed while {name} leads it");
        let why = "members that do not know it would not follow it, and it cannot be reached".to_owned();
        plan.refusals.push(common(
            &what,
            why,
            "stop its process first; the others then elect one of theirs",
        ));
        return;
    }
    if added.len() < 2 && removed.len() < 2 {
        return;
    }
    let list = |names: &[String]| names.join(", ");
    let why = if added.len() < 2 {
        format!("{} would leave at once", list(&removed))
    } else {
        format!("{} would join at once", list(&added))
    };
    plan.refusals.push(common(
        "the quorum is not changed by more than one member at a time",
        why,
        "change the hosts by one, or one for another, apply, and go on with the next; add before you remove",
    ));
}
