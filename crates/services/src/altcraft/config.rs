//! The steps `check` and `config`: what stands in the way, and main.json itself.

use std::collections::BTreeSet;

use plan::{Consent, Level, Preview, Refusal};
use protocol::Operation;
use serde_json::Value;
use types::HostName;

use super::blocks;
use super::merge::MergeError;
use super::settings::Settings;
use super::view::{FileTrouble, Node, View};
use super::want::Want;
use crate::common::{QUICK, action};
use crate::step::{Cx, StepPlan, Task};

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

fn unusable(view: &View<'_>, node: &Node<'_>) -> Option<Refusal> {
    let settings = view.settings;
    let refuse = |why: String, way_out: String| {
        Some(Refusal {
            service: None,
            host: Some(node.host.clone()),
            what: format!("nothing is changed on {}", node.host),
            why,
            way_out,
            consent: None,
        })
    };
    let missing = node
        .runs
        .iter()
        .find(|run| run.unit.as_ref().is_ok_and(|unit| !unit.exists()));
    if let Some(run) = missing {
        let way_out = format!(
            "install the Altcraft Platform there, or name the unit there is: {} = {{ unit = \"...\" }}",
            run.process.name
        );
        return refuse(format!("there is no unit {}", run.process.unit), way_out);
    }
    let path = &settings.config;
    match node.texts(settings) {
        Ok(_) | Err(FileTrouble::Unknown(_)) => None,
        Err(FileTrouble::Absent) => refuse(
            format!("there is no {path}"),
            "install the Altcraft Platform there, or name its file: config = \"...\"".to_owned(),
        ),
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
/// it must be seen.
fn master_moves_unseen(view: &View<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let settings = view.settings;
    let (wanted, others) = (&settings.master, old_masters(view));
    let is_promoted = view.node(wanted).is_some_and(|node| {
        node.runs.iter().any(|run| {
            run.is_active() && run.says_master() == Some(false)
                || node
                    .named_masters(run.process)
                    .iter()
                    .any(|named| *named != wanted.as_str())
        })
    });
    if others.is_empty() && !is_promoted {
        return None;
    }
    let seen = |name: &str| cx.hosts.iter().any(|host| host.as_str() == name);
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
        unseen.extend(
            settings
                .hosts
                .iter()
                .map(HostName::as_str)
                .filter(|name| !seen(name)),
        );
    }
    if unseen.is_empty() || cx.is_allowed(MASTER, wanted) {
        return None;
    }
    let unseen: Vec<&str> = unseen.into_iter().collect();
    Some(Refusal {
        service: None,
        host: None,
        what: format!("the master does not move to {wanted}"),
        why: format!(
            "{} cannot be looked at in this plan, and there would be two masters, or none",
            unseen.join(", ")
        ),
        way_out: "plan for all hosts when they can be reached; or make sure that the processes there are stopped, and \
                  allow it"
            .to_owned(),
        consent: Some(Consent {
            action: MASTER.to_owned(),
            host: wanted.clone(),
        }),
    })
}

/// Those that run as master, or are named as it by a main.json, and are not to be it.
pub(super) fn old_masters(view: &View<'_>) -> BTreeSet<String> {
    let wanted = view.settings.master.as_str();
    let mut masters = BTreeSet::new();
    for node in &view.nodes {
        for run in &node.runs {
            // Where its line is gone, its main.json is the best there is.
            let is_master = run.says_master().unwrap_or_else(|| {
                let named = node.named_masters(run.process);
                run.is_active() && named.iter().any(|named| named == node.host.as_str())
            });
            if is_master {
                masters.insert(node.host.to_string());
            }
            let named = node.named_masters(run.process).into_iter();
            // One that the inventory does not have any more.
            masters
                .extend(named.filter(|named| !view.settings.hosts.iter().any(|host| host.as_str() == named)));
        }
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
                all.tasks.extend(write(settings, node, after));
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

fn write(settings: &Settings, node: &Node<'_>, after: protocol::Text) -> Option<Task> {
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
            let is_kept = |old: &Value| items.iter().any(|new| Some(new) == old.get(by).as_ref());
            if !old.is_empty() && !old.iter().any(is_kept) {
                let text = format!(
                    "{} has none of its old places any more: if they are switched off before every host was restarted, some \
                     have no place to go; to be safe, apply once with both in the inventory",
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
