//! The step `config`: main.json gets the desired keys; every other byte of it stays.

use plan::Level;
use serde_json::Value;

use crate::observe::{FileTrouble, Member, View};
use crate::rules::main_json::{change, desired, write};
use crate::rules::role_move::role_moves;
use crate::settings::Settings;
use formats::main_json::Want;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for member in view.on(cx) {
        match change(settings, &settings.hosts, member) {
            Ok(Some(after)) => {
                note(settings, member, &mut all);
                if !role_moves(&view) {
                    all.tasks.extend(write(settings, &settings.hosts, member, after));
                }
            }
            Err(FileTrouble::Unknown(unknown)) => {
                all.unplanned.push((member.host.clone(), unknown.to_string()));
            }
            // As desired; or refused by the step `check`.
            Ok(None) | Err(_) => {}
        }
    }
    all
}

fn note(settings: &Settings, member: &Member<'_>, all: &mut StepPlan) {
    note_lost_places(settings, member, all);
    let mut note = |level, text: String| all.note(level, Some(member.host), text);
    let mut uses = settings.uses.all();
    while let Some(used) = uses.find(|used| used.login(&settings.user).is_none()) {
        let service = &used.service;
        note(
            Level::Info,
            format!("{service} names no users in the inventory: its login stays as main.json has it"),
        );
    }
    let meta = member.file.as_ref().ok().and_then(|fact| fact.meta());
    if meta.is_some_and(|meta| meta.mode & 0o004 != 0) {
        let path = &settings.config;
        note(
            Level::Warning,
            format!("{path} holds passwords, and every user of the host may read it"),
        );
    }
    let is_new = member
        .json
        .as_ref()
        .is_none_or(|json| json.get("CLUSTER").is_none());
    if is_new && matches!(settings.rpc_host.as_str(), "0.0.0.0" | "::") {
        let ports = settings.processes.iter();
        let ports: Vec<String> = ports
            .map(|process| format!("{} ({})", process.port, process.program))
            .collect();
        let ports = ports.join(" and ");
        let text = format!(
            "the RPC ports {ports} are open on all addresses, as the runbook has it; rpc_host restricts them"
        );
        note(Level::Info, text);
    }
}

/// Warns where none of a list's old places stays: members leave a database only when every host was restarted with the new
/// places, and hosts that the inventory does not have are switched off at any time.
fn note_lost_places(settings: &Settings, member: &Member<'_>, all: &mut StepPlan) {
    let is_known = |name: &str| settings.known.iter().any(|host| host.as_str() == name);
    for (key, want) in desired(settings, &settings.hosts, member.host, member.json.as_ref()) {
        for Places { path, by, names } in places(&key, &want) {
            let mut at = path.iter();
            let old = member
                .json
                .as_ref()
                .and_then(|json| at.try_fold(json, |value, key| value.get(key)));
            let old = old
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let stays = |place: &Value| {
                let name = place.get(by);
                names.iter().any(|new| Some(*new) == name)
                    || name.and_then(Value::as_str).is_some_and(is_known)
            };
            if !old.is_empty() && !old.iter().any(stays) {
                let path = path.join(".");
                let text = format!(
                    "{path} loses all of its old places, and the inventory does not have them as hosts: if they are \
                     switched off before every host was restarted, some hosts cannot connect"
                );
                all.note(Level::Warning, Some(member.host), text);
            }
        }
    }
}

/// A list of places to connect to.
struct Places<'w> {
    path: Vec<&'w str>,
    /// The key of a place's name.
    by: &'static str,
    names: Vec<&'w Value>,
}

/// The lists of places to connect to in a key.
fn places<'w>(key: &'w str, want: &'w Want) -> Vec<Places<'w>> {
    match want {
        Want::List(by, items) if *by != "HOST_ID" => {
            let names = items.iter().filter_map(|wants| match wants.first() {
                Some((_, Want::Is(value))) => Some(value),
                _ => None,
            });
            vec![Places {
                path: vec![key],
                by,
                names: names.collect(),
            }]
        }
        Want::Has(wants) => {
            let inner = wants.iter().flat_map(|(inner, want)| places(inner, want));
            let below = |mut places: Places<'w>| {
                places.path.insert(0, key);
                places
            };
            inner.map(below).collect()
        }
        _ => Vec::new(),
    }
}
