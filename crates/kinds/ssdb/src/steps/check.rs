//! The step `check`: what stands in the way, and what is worth knowing before anything is touched.

use std::collections::BTreeSet;

use plan::{Consent, Level, Refusal};
use types::HostName;

use crate::observe::replies::Info;
use crate::observe::view::{Node, Server, View};
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// The consent to set a host's data aside and fill it anew.
pub(crate) const WIPE: &str = "ssdb.wipe";
/// The consent to restart all members at the same time.
pub(crate) const TOGETHER: &str = "ssdb.restart-all";

/// Plans the step: it has no tasks.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        if let Some(node) = view.node(host) {
            all.refusals.extend(unusable(&view, node));
            note(&view, node, cx, &mut all);
        }
    }
    all.refusals.extend(both_hold_data(&view, cx));
    all.refusals.extend(all_at_once(&view, cx));
    for host in cx.hosts {
        if let Some(node) = view.node(host) {
            all.refusals.extend(out_of_sync(&view, node, cx));
        }
    }
    all
}

/// Whether nothing can be planned for a host, as `unusable` says.
pub(crate) fn stops(view: &View<'_>, node: &Node<'_>) -> bool {
    unusable(view, node).is_some()
}

fn unusable(view: &View<'_>, node: &Node<'_>) -> Option<Refusal> {
    let (settings, host) = (view.settings, node.host);
    let refuse = |why: String, resolve: String| {
        Some(Refusal {
            service: None,
            host: Some(host.clone()),
            what: format!("nothing is changed on {host}"),
            why,
            resolve,
            consent: None,
        })
    };
    if node.unit.as_ref().is_ok_and(|unit| !unit.exists()) {
        let why = format!("there is no unit {}", settings.unit);
        let resolve = format!(
            "install SSDB and make a unit that runs `ssdb-server {}` in the foreground, or name the unit there is: \
             unit = \"...\"",
            settings.config
        );
        return refuse(why, resolve);
    }
    match (&node.conf, node.file.as_ref().map(|file| file.meta())) {
        (Some(Err(error)), _) => {
            let resolve = "put one TAB a level, and plan again; a server that is started with this file exits with status 1";
            return refuse(format!("{}: {error}", settings.config), resolve.to_owned());
        }
        (None, Ok(Some(meta))) => {
            if let Some(obstacle) = meta.obstacle() {
                return refuse(format!("{}: {obstacle}", settings.config), obstacle.resolve());
            }
            return refuse(
                format!("{} is not a text file", settings.config),
                "look at it".to_owned(),
            );
        }
        _ => {}
    }
    let told = node.work_dir(settings);
    if settings.is_work_dir_named && told != settings.work_dir {
        let why = format!(
            "{} keeps its data in {told}, and the inventory says {}",
            settings.config, settings.work_dir
        );
        let resolve = "name the directory that is in use, or stop the server, move its data and change the file by hand";
        return refuse(why, resolve.to_owned());
    }
    None
}

/// Newcomers whose data would be mixed with those of others. Where a newcomer's data are the only ones, the others
/// copy them.
pub(crate) fn conflicts<'n>(view: &'n View<'_>) -> BTreeSet<&'n HostName> {
    let holders: Vec<&Node<'_>> = holders(view).collect();
    // What is out of reach may hold data, but nothing is known of it that would make it a newcomer.
    let newcomers = holders.iter().filter(|node| {
        node.unreachable.is_none() && view.settings.hosts.contains(node.host) && !view.is_mirror(node)
    });
    newcomers
        .filter(|_| holders.len() > 1)
        .map(|node| node.host)
        .collect()
}

fn holders<'n, 'a>(view: &'n View<'a>) -> impl Iterator<Item = &'n Node<'a>> {
    let leaving = view.staying().filter(|former| view.is_source(former));
    view.nodes
        .iter()
        .chain(leaving)
        .filter(|node| node.may_hold_data(view.settings))
}

fn both_hold_data(view: &View<'_>, cx: &Cx<'_>) -> Vec<Refusal> {
    let conflicts = conflicts(view);
    let is_given_up = |host: &HostName| conflicts.contains(host) && cx.is_allowed(WIPE, host);
    let left = holders(view).filter(|node| !is_given_up(node.host)).count();
    let refuse = |what: String, why: String, resolve: String, consent| Refusal {
        service: None,
        host: None,
        what,
        why,
        resolve,
        consent,
    };
    match left {
        _ if conflicts.is_empty() => Vec::new(),
        0 => vec![refuse(
            "no data are set aside".to_owned(),
            "the consents cover every host that holds data, so nothing would be left".to_owned(),
            "leave out the host whose data are kept".to_owned(),
            None,
        )],
        1 => Vec::new(),
        _ => {
            let newcomers = conflicts.iter().filter(|host| !is_given_up(host));
            newcomers.map(|&host| mixed(view, host)).collect()
        }
    }
}

fn mixed(view: &View<'_>, host: &HostName) -> Refusal {
    let others = holders(view).filter(|node| node.host != host);
    let (reached, lost): (Vec<&Node<'_>>, Vec<&Node<'_>>) =
        others.partition(|node| node.unreachable.is_none());
    let lost: Vec<&str> = lost.iter().map(|node| node.host.as_str()).collect();
    let (resolve, consent) = if reached.is_empty() {
        (
            format!("bring {} back first: what it holds is not known", lost.join(", ")),
            None,
        )
    } else {
        let resolve = format!(
            "decide whose data are kept; with consent the data of {host} are moved aside, and it copies those of the others"
        );
        (resolve, Some(consent(WIPE, host)))
    };
    Refusal {
        service: None,
        host: None,
        what: format!("{host} does not become a mirror"),
        why: format!(
            "{host} and others hold, or may hold, data of their own: they would be mixed, and what stands in queues doubled"
        ),
        resolve,
        consent,
    }
}

/// Whether something stands in the way of everything: then no other step plans anything.
pub(crate) fn refuses_all(settings: &Settings, cx: &Cx<'_>) -> bool {
    let view = View::new(settings, cx.facts);
    !both_hold_data(&view, cx).is_empty() || !all_at_once(&view, cx).is_empty()
}

fn consent(action: &str, host: &HostName) -> Consent {
    Consent {
        action: action.to_owned(),
        host: host.clone(),
    }
}

/// Members of running mirrors whose password or port changes: each restarted one would be cut off from all others.
pub(crate) fn changes_for_all<'n>(view: &'n View<'_>) -> BTreeSet<&'n HostName> {
    let settings = view.settings;
    let is_changing = |node: &&Node<'_>| {
        let port = node
            .conf
            .as_ref()
            .and_then(|conf| conf.as_ref().ok()?.get(&["server", "port"]));
        let file_changes =
            node.has_other_password(settings) || port != Some(settings.port.to_string().as_str());
        let is_pending = node.has_newer_file() && node.server.up().is_none_or(|info| !info.asks_password);
        let is_readable = !matches!(node.conf, Some(Err(_)));
        is_readable
            && settings.hosts.len() > 1
            && node.is_active()
            && view.is_mirror(node)
            && (file_changes || is_pending)
    };
    view.nodes
        .iter()
        .filter(is_changing)
        .map(|node| node.host)
        .collect()
}

fn all_at_once(view: &View<'_>, cx: &Cx<'_>) -> Vec<Refusal> {
    let changing = changes_for_all(view);
    let refused = changing.iter().filter(|host| !cx.is_allowed(TOGETHER, host));
    let refusals = refused.map(|&host| Refusal {
        service: None,
        host: None,
        what: format!("the password or port of {host} is not changed"),
        why: "mirrors reach each other with it, so all members are restarted at the same time, and none serves meanwhile"
            .to_owned(),
        resolve: "name the password and port that are in use, or stop the applications and allow it on every member"
            .to_owned(),
        consent: Some(consent(TOGETHER, host)),
    });
    refusals.collect()
}

fn out_of_sync(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let master = view.fell_behind(node)?;
    let host = node.host;
    let healthy = view
        .nodes
        .iter()
        .find(|other| other.host != host && view.serves(other));
    let refusal = |resolve: String, consent| {
        Some(Refusal {
            service: None,
            host: Some(host.clone()),
            what: format!("{host} is not repaired"),
            why: format!(
                "it is out of sync: it needs changes of {master} that are no longer in the binlog there, so only a full copy helps, \
                 which its old data must not meet",
            ),
            resolve,
            consent,
        })
    };
    match healthy {
        None => refusal(
            "no other member is in sync: decide by hand whose data are kept".to_owned(),
            None,
        ),
        Some(_) if cx.is_allowed(WIPE, host) => None,
        Some(healthy) => {
            let resolve = format!(
                "with consent its data are moved aside, and it copies everything from {}; writes that only it has are lost \
                 to the others then",
                healthy.host
            );
            refusal(resolve, Some(consent(WIPE, host)))
        }
    }
}

fn note(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
    let (settings, host) = (view.settings, node.host);
    match &node.server {
        Server::Up(info) => {
            let is_current = !node.has_newer_file() && !cx.writes(host, &settings.config);
            let told = node
                .conf
                .as_ref()
                .and_then(|conf| conf.as_ref().ok()?.get(&["replication", "binlog", "capacity"]));
            if let Some(live) = info.capacity
                && is_current
                && told == Some(settings.capacity.to_string().as_str())
                && live != settings.capacity
            {
                let text = format!(
                    "its binlog keeps {live} changes, although it was started after its file was written"
                );
                all.note(Level::Warning, Some(host), text);
            }
            note_links(view, host, info, all);
        }
        Server::Denied(why) if !node.has_newer_file() && !node.has_other_password(settings) => {
            let text =
                format!("it refuses the password, although it was started after its file was written: {why}");
            all.note(Level::Warning, Some(host), text);
        }
        Server::Down(why) if node.is_active() && !node.has_newer_file() => {
            let text = format!(
                "{} runs and does not answer on port {}: {why}",
                settings.unit, settings.port
            );
            all.note(Level::Warning, Some(host), text);
        }
        _ => {}
    }
}

/// Links that are down although their masters answer. Where a master does not, that is what is said.
fn note_links(view: &View<'_>, host: &HostName, info: &Info, all: &mut StepPlan) {
    for peer in view.settings.peers(host) {
        let answers = view.node(peer).is_some_and(|node| node.server.up().is_some());
        let link = view.link(info, peer).filter(|_| answers);
        if let Some(link) = link.filter(|link| matches!(link.status.as_str(), "DISCONNECTED" | "INIT")) {
            all.note(
                Level::Warning,
                Some(host),
                format!("its link to {} is {}", link.at, link.status),
            );
        }
    }
}
