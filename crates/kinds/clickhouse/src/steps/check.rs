//! The step `check`: refusals of every change, and warnings before the first one.

use formats::xml;
use plan::{Level, Refusal};
use protocol::facts::FileQuery;
use types::HostName;

use crate::observe::coordination::voter::VoterState;
use crate::observe::server::queries;
use crate::observe::view::View;
use crate::rules::coordination::ids::{Conflict, Ids};
use crate::rules::coordination::quorum::Quorum;
use crate::rules::coordination::{interim_membership, lost_quorum, zookeeper_files};
use crate::rules::file_change::Stop;
use crate::rules::server::{config_files, config_xml};
use crate::rules::{doubt, need};
use crate::settings::Settings;
use kit::{Cx, Need, StepPlan};

/// The consent to lose what a ZooKeeper that runs alone holds.
const FORGET: &str = "clickhouse.forget-zookeeper";
/// How many nodes the tree of a ZooKeeper has that was never used.
const EMPTY_TREE: u64 = 5;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let view = View::new(settings, cx.facts);
    let quorum = interim_membership::quorum(&view);
    if let Err(conflict) = Ids::find(&view, &quorum.membership.voters) {
        plan.refusals.push(no_numbers(&conflict));
        return plan;
    }
    for host in cx.hosts {
        if let Err(Stop::Refused(refusal)) = config_files::tasks(&quorum, host, cx) {
            plan.refusals.push(*refusal);
        }
        if let Some(zookeeper) = settings.zookeeper().filter(|_| quorum.membership.has(host))
            && let Err(Stop::Refused(refusal)) = zookeeper_files::tasks(&quorum, zookeeper, host, cx)
        {
            plan.refusals.push(*refusal);
        }
        plan.refusals.extend(no_keeper(&view, host));
    }
    open_to_all(settings, cx, &mut plan);
    plan.refusals.extend(standalone(&quorum, cx));
    let restarts = |host: &&HostName| {
        need::server(&quorum, host, cx).is_ok_and(|need| need.is_some_and(|need| need.restarts()))
    };
    plan.refusals
        .extend(doubt::formation(&view, cx.hosts.iter().filter(restarts)));
    plan.refusals
        .extend(membership_change(&Quorum::of_inventory(&view), cx));
    if plan.refusals.is_empty() {
        let starts = |host: &HostName| starts(&quorum, host, cx);
        let is_allowed = |action: &str, host: &HostName| cx.is_allowed(action, host);
        plan.refusals
            .extend(lost_quorum::refusal(&quorum, starts, is_allowed));
    }
    plan
}

fn no_numbers(conflict: &Conflict) -> Refusal {
    let what = "nothing is changed while the members of the quorum have no clear numbers";
    let why = conflict.to_string();
    match conflict {
        Conflict::Unasked { .. } => {
            let resolve = "make the host reachable, or give it a number in server_ids of the inventory";
            Refusal::new(what, why, resolve).passing()
        }
        Conflict::Shared { .. } | Conflict::Two { .. } | Conflict::Unreadable { .. } | Conflict::Spent => {
            let resolve = "a number belongs to its member for ever: correct server_ids in the inventory, or the file that is wrong";
            Refusal::new(what, why, resolve)
        }
    }
}

/// Whether this plan starts a host's voter, or starts it again. Its package may still be to come: then it has no unit yet,
/// and nothing is known of its need.
fn starts(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> bool {
    let need = match quorum.view.settings.zookeeper() {
        Some(zookeeper) => need::zookeeper(quorum, zookeeper, host, cx),
        None => need::server(quorum, host, cx),
    };
    need.map_or(true, |need| need.as_ref().is_some_and(Need::starts))
}

/// Keeper came with 21.8.
fn no_keeper(view: &View<'_>, host: &HostName) -> Option<Refusal> {
    view.settings.keeper()?;
    let (major, minor) = config_xml::version_on(view, host).filter(|version| *version < (21, 8))?;
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!("ClickHouse {major}.{minor} has no Keeper"),
        "set coordination = \"zookeeper\", or install 21.8 or later",
    );
    Some(refusal.on(host))
}

/// Tells of servers without a password that listen on every address.
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
        "{} listen on {} and the user default has no password: every client that reaches ports {} and {} may do anything. Set \
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

/// A voter that runs alone and holds something would lose it to a quorum of blank ones.
fn standalone(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Vec<Refusal> {
    let refusal = |host: &HostName, nodes: u64| {
        let refusal = Refusal::new(
            "nothing is changed while a ZooKeeper with data runs alone",
            format!(
                "the one on {host} holds {nodes} nodes, and a quorum of new members would begin without them"
            ),
            format!(
                "let coordination_hosts name {host} alone, then add one member after another; or allow the loss"
            ),
        );
        refusal.unless_allowed(FORGET, host)
    };
    let voters = quorum.voters.iter().filter(|_| quorum.voters.len() > 1);
    let refusals = voters.filter_map(|voter| match (&voter.host, &voter.state) {
        (Some(host), &VoterState::Standalone(nodes))
            if nodes > EMPTY_TREE && !cx.is_allowed(FORGET, host) =>
        {
            Some(refusal(host, nodes))
        }
        _ => None,
    });
    refusals.collect()
}

/// A quorum gets one voter more, and then does with one less: with more at once, old and new majorities need not overlap.
fn membership_change(quorum: &Quorum<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let (joining, removed) = (&quorum.membership.joining, quorum.removed());
    let is_reached = |name: &str| cx.hosts.iter().chain(cx.others).any(|host| host.as_str() == name);
    let is_led_from_outside = quorum.leader().is_none() && quorum.is_available();
    if is_led_from_outside && let Some(name) = removed.iter().find(|name| !is_reached(name)) {
        return Some(Refusal::new(
            format!("the quorum is not changed while {name} leads it"),
            "members that do not know it would not follow it, and it cannot be reached",
            "stop its process first; the others then elect one of theirs",
        ));
    }
    let why = if joining.len() > 1 {
        let joining: Vec<&str> = joining.iter().map(HostName::as_str).collect();
        format!("{} would join at once", joining.join(", "))
    } else if removed.len() > 1 {
        format!("{} would leave at once", removed.join(", "))
    } else {
        return None;
    };
    Some(Refusal::new(
        "the quorum is not changed by more than one member at a time",
        why,
        "change the hosts by one, or one for another, apply, and go on with the next; add before you remove",
    ))
}
