//! The steps `check` and `config`: what stands in the way, and main.json itself.

use std::collections::BTreeSet;

use plan::{Consent, Level, Preview, Refusal};
use protocol::Operation;
use serde_json::Value;
use types::HostName;

use super::blocks;
use super::settings::Settings;
use super::view::{FileTrouble, Node, View};
use formats::main_json::MergeError;
use formats::main_json::Want;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

/// The consent to let a host become master while nobody knows whether the old one still is.
const MASTER: &str = "altcraft.master";

/// Plans the step `check`: it has no tasks.
pub(super) fn plan_check(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for node in cx.hosts.iter().filter_map(|host| view.node(host)) {
        all.refusals.extend(unusable(&view, node));
    }
    all.refusals.extend(master_moves_unseen(&view, cx));
    all
}

pub(super) fn unusable(view: &View<'_>, node: &Node<'_>) -> Option<Refusal> {
    let settings = view.settings;
    let refuse = |why: String, resolve: String| {
        Some(Refusal {
            service: None,
            host: Some(node.host.clone()),
            what: format!("nothing is changed on {}", node.host),
            why,
            resolve,
            consent: None,
        })
    };
    let missing = node
        .runs
        .iter()
        .find(|run| run.unit.as_ref().is_ok_and(|unit| !unit.exists()));
    if let Some(run) = missing {
        let resolve = format!(
            "install the Altcraft Platform there, or name the unit there is: {} = {{ unit = \"...\" }}",
            run.process.name
        );
        return refuse(format!("there is no unit {}", run.process.unit), resolve);
    }
    let path = &settings.config;
    match node.texts(settings) {
        Ok(_) | Err(FileTrouble::Unknown(_)) => None,
        Err(FileTrouble::Absent) => refuse(
            format!("there is no {path}"),
            "install the Altcraft Platform there, or name its file: config = \"...\"".to_owned(),
        ),
        Err(FileTrouble::Obstacle(obstacle)) => refuse(format!("{path}: {obstacle}"), obstacle.resolve()),
        Err(FileTrouble::Odd(what)) => refuse(
            format!("{path}: {what}"),
            "name the file itself: config = \"...\"".to_owned(),
        ),
        Err(FileTrouble::Merge(error @ MergeError::NotJson { .. })) => refuse(
            format!("{path} is not JSON: {error}"),
            "correct it by hand: what a file that cannot be read was to say is nobody's guess".to_owned(),
        ),
        Err(FileTrouble::Merge(error)) => refuse(format!("{path}: {error}"), "correct it by hand".to_owned()),
    }
}

/// Two masters at the same time are worse than none for a moment: where the role moves, all who have it, had it or get
/// it must be seen, and be changed.
fn master_moves_unseen(view: &View<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let settings = view.settings;
    let (wanted, others) = (&settings.master, old_masters(view));
    let is_promoted = is_promoted(view);
    let has_it = |node: &Node<'_>| node.runs.iter().any(|run| run.says_master() == Some(true));
    let foreign: Vec<&str> = match view.node(wanted) {
        Some(node) if has_it(node) => Vec::new(),
        _ => view.foreign_masters().map(|other| other.host.as_str()).collect(),
    };
    if others.is_empty() && !is_promoted && foreign.is_empty() {
        return None;
    }
    let seen = |name: &str| {
        let mut reached = cx.hosts.iter().chain(cx.others);
        let is_kept = |node: &Node<'_>| {
            let settings = settings.with(node.host);
            unusable(view, node).is_some() || node.texts(&settings).is_err()
        };
        let is_refused = view.all().any(|node| node.host.as_str() == name && is_kept(node));
        reached.any(|host| host.as_str() == name) && !is_refused
    };
    let mut unseen: BTreeSet<&str> = others
        .iter()
        .map(String::as_str)
        .filter(|name| !seen(name))
        .collect();
    if !seen(wanted.as_str()) {
        unseen.insert(wanted.as_str());
    }
    if is_promoted {
        // Whoever was master before main.json was written may be any of them.
        let members = settings.hosts.iter().map(HostName::as_str);
        unseen.extend(members.filter(|name| !seen(name)));
    }
    if unseen.is_empty() && foreign.is_empty() || cx.is_allowed(MASTER, wanted) {
        return None;
    }
    let unseen: Vec<&str> = unseen.into_iter().collect();
    let why = if unseen.is_empty() {
        format!(
            "{} is master, of this platform for all that can be seen, and there would be two",
            foreign.join(", ")
        )
    } else {
        format!(
            "{} cannot be looked at, or changed, in this plan, and there would be two masters, or none",
            unseen.join(", ")
        )
    };
    Some(Refusal {
        service: None,
        host: None,
        what: format!("the master does not move to {wanted}"),
        why,
        resolve: "plan for all hosts when they can be reached; or make sure that the processes there are stopped, and \
                  allow it"
            .to_owned(),
        consent: Some(Consent {
            action: MASTER.to_owned(),
            host: wanted.clone(),
        }),
    })
}

/// Whether the host that is to be the master runs as none, or its main.json names another.
fn is_promoted(view: &View<'_>) -> bool {
    let wanted = &view.settings.master;
    view.node(wanted).is_some_and(|node| {
        node.runs.iter().any(|run| {
            run.is_active() && run.says_master() == Some(false)
                || node
                    .named_masters(run.process)
                    .iter()
                    .any(|named| *named != wanted.as_str())
        })
    })
}

/// Whether the role goes from one host to another. Then no main.json is written before its host's turn: a process that
/// is started by whoever it may be, while another has the role, must not find itself master there.
pub(super) fn role_moves(view: &View<'_>) -> bool {
    !old_masters(view).is_empty() || is_promoted(view)
}

/// Those that run as master, would run as it, or are named as it by a main.json, and are not to be it.
pub(super) fn old_masters(view: &View<'_>) -> BTreeSet<String> {
    let wanted = view.settings.master.as_str();
    let mut masters = BTreeSet::new();
    for node in view.all() {
        let is_master = node.may_run() && node.names_itself_master();
        if is_master && node.runs.iter().any(|run| run.says_master().is_none())
            || node.runs.iter().any(|run| run.says_master() == Some(true))
        {
            masters.insert(node.host.to_string());
        }
    }
    for node in &view.nodes {
        let named = node.runs.iter().flat_map(|run| node.named_masters(run.process));
        // One that the inventory does not have any more, or that cannot be asked whether it still is.
        let gone = named.filter(|named| {
            let is_member = view.settings.hosts.iter().any(|host| host.as_str() == named);
            !is_member && view.seen_other(named).is_none()
        });
        masters.extend(gone);
    }
    masters.remove(wanted);
    masters
}

/// Plans the step `config`.
pub(super) fn plan_config(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for node in cx.hosts.iter().filter_map(|host| view.node(host)) {
        match node.texts(settings) {
            Ok((before, after)) if *before != after => {
                notes(&view, node, &mut all);
                if !role_moves(&view) {
                    all.tasks.extend(write(settings, node, after));
                }
            }
            Err(FileTrouble::Unknown(unknown)) => {
                all.unplanned.push((node.host.clone(), unknown.to_string()));
            }
            // As it should be; or refused by the step `check`.
            Ok(_) | Err(_) => {}
        }
    }
    all
}

/// Writes a host's main.json.
pub(super) fn write(settings: &Settings, node: &Node<'_>, after: protocol::Text) -> Option<Task> {
    let fact = node.file.as_ref().ok()?;
    let meta = fact.meta()?;
    let path = settings.config.clone();
    let said = node.said().unwrap_or_default();
    let wants = blocks::wants(settings, node.host);
    let keys: Vec<&str> = wants
        .iter()
        .filter(|(key, want)| !want.holds(said.get(key)))
        .map(|(key, _)| key.as_str())
        .collect();
    let preview = Preview::File {
        path: path.clone(),
        before: meta.text.clone(),
        after: after.clone(),
    };
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: after,
        // Whoever owns it and may read it stays.
        mode: meta.mode,
        owner: meta.owner.clone(),
        group: meta.group.clone(),
        was: fact.state(),
    };
    let reason = format!(
        "its {} {}",
        keys.join(", "),
        if keys.len() == 1 { "differs" } else { "differ" }
    );
    Some(
        Task::new(
            node.host,
            format!("change {path}"),
            reason,
            action(operation, QUICK),
        )
        .preview(preview),
    )
}

fn notes(view: &View<'_>, node: &Node<'_>, all: &mut StepPlan) {
    let settings = view.settings;
    let said = node.said().unwrap_or_default();
    for (key, want) in blocks::wants(settings, node.host) {
        for (path, by, items) in lists(&key, &want) {
            let old = path.iter().try_fold(&said, |value, key| value.get(key));
            let old = old
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            // Members leave a database only when every host was restarted with the new places, if they can be seen at all.
            let is_kept = |old: &Value| {
                let old = old.get(by);
                let is_known = |name: &str| settings.known.iter().any(|host| host.as_str() == name);
                items.iter().any(|new| Some(new) == old.as_ref())
                    || old.and_then(Value::as_str).is_some_and(is_known)
            };
            if !old.is_empty() && !old.iter().any(is_kept) {
                let text = format!(
                    "{} has none of its old places any more, and the inventory does not know them as hosts: if they are \
                     switched off before every host was restarted, some have no place to go",
                    path.join(".")
                );
                all.note(Level::Warning, Some(node.host), text);
            }
        }
    }
    for used in settings
        .uses
        .all()
        .filter(|used| used.login(&settings.user).is_none())
    {
        let text = format!(
            "{} names no users in the inventory: who logs in to it stays as main.json has it",
            used.service
        );
        all.note(Level::Info, Some(node.host), text);
    }
    let meta = node.file.as_ref().ok().and_then(|fact| fact.meta());
    if meta.is_some_and(|meta| meta.mode & 0o004 != 0) {
        let text = format!(
            "{} holds passwords, and everybody on the host may read it",
            settings.config
        );
        all.note(Level::Warning, Some(node.host), text);
    }
    let everywhere = matches!(settings.rpc_host.as_str(), "0.0.0.0" | "::");
    let was = said.get("CLUSTER");
    if everywhere && was.is_none() {
        let ports: Vec<String> = settings
            .processes
            .iter()
            .map(|process| format!("{} ({})", process.port, process.name))
            .collect();
        let text = format!(
            "the RPC ports {} are open on all addresses, as the runbook has it; rpc_host narrows it down",
            ports.join(" and ")
        );
        all.note(Level::Info, Some(node.host), text);
    }
}

/// The lists of places to connect to that a key holds: path, the key of the name, and the names.
fn lists<'w>(key: &'w str, want: &'w Want) -> Vec<(Vec<&'w str>, &'static str, Vec<&'w Value>)> {
    match want {
        Want::List(by, items) if *by != "HOST_ID" => {
            let names = items.iter().filter_map(|wants| match wants.first() {
                Some((_, Want::Is(value))) => Some(value),
                _ => None,
            });
            vec![(vec![key], *by, names.collect())]
        }
        Want::Has(wants) => {
            let inner = wants.iter().flat_map(|(inner, want)| lists(inner, want));
            inner
                .map(|(path, by, names)| ([vec![key], path].concat(), by, names))
                .collect()
        }
        _ => Vec::new(),
    }
}
