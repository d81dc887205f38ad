//! The desired main.json of a host.

use plan::Preview;
use protocol::{Operation, Text};
use serde_json::Value;
use types::HostName;

use super::{cluster_block, databases};
use crate::observe::{FileTrouble, Member};
use crate::settings::Settings;
use formats::main_json::{Want, Wants, lay_over, merge};
use kit::{QUICK, Task, action};

/// The desired keys on a host, in a cluster of these members. A database's host keeps its address where this main.json
/// names it so.
pub(crate) fn desired(
    settings: &Settings,
    members: &[HostName],
    host: &HostName,
    json: Option<&Value>,
) -> Wants {
    let mut wants = databases::blocks(settings);
    for (key, want) in &mut wants {
        keep_addresses(settings, want, json.and_then(|json| json.get(key.as_str())));
    }
    wants.push(cluster_block::block(settings, members, host));
    lay_over(&mut wants, settings.main.clone());
    wants
}

/// Takes a host's address for its name where that stands there.
fn keep_addresses(settings: &Settings, want: &mut Want, value: Option<&Value>) {
    match (want, value) {
        (Want::Is(name), Some(told)) if is_address_of(settings, told, name) => told.clone_into(name),
        (Want::Has(wants), Some(value)) => {
            for (key, want) in wants {
                keep_addresses(settings, want, value.get(key.as_str()));
            }
        }
        (Want::List(by, items), Some(Value::Array(told))) => {
            let names = items.iter_mut().flatten().filter(|(key, _)| key == by);
            for (_, want) in names {
                let Want::Is(name) = &want else { continue };
                let mut told = told.iter().filter_map(|told| told.get(*by));
                let address = told.find(|told| is_address_of(settings, told, name));
                keep_addresses(settings, want, address);
            }
        }
        _ => {}
    }
}

fn is_address_of(settings: &Settings, told: &Value, name: &Value) -> bool {
    let mut known = settings.known.iter().zip(&settings.addresses);
    known.any(|(host, address)| name == host.as_str() && told == address.as_str())
}

/// Whether a main.json has the places of one of our databases.
pub(crate) fn uses_same_databases(settings: &Settings, json: &Value) -> bool {
    let has_places = settings.uses.all().any(|used| !used.offer.endpoints.is_empty());
    let is_same = |(key, want): &(String, Want)| {
        matches!(want, Want::List(..) | Want::Has(_)) && want.holds(json.get(key))
    };
    has_places && databases::blocks(settings).iter().any(is_same)
}

/// The new main.json of a host, where it differs from the one that it has.
pub(crate) fn change(
    settings: &Settings,
    members: &[HostName],
    member: &Member<'_>,
) -> Result<Option<Text>, FileTrouble> {
    let before = member.text()?;
    let merged = merge(
        before.as_str(),
        &desired(settings, members, member.host, member.json.as_ref()),
    );
    let after = merged.map_err(FileTrouble::Merge)?;
    Ok((before.as_str() != after).then(|| Text::new(after)))
}

/// The task that writes a host's main.json. Mode, owner and group stay.
pub(crate) fn write(
    settings: &Settings,
    members: &[HostName],
    member: &Member<'_>,
    after: Text,
) -> Option<Task> {
    let fact = member.file.as_ref().ok()?;
    let meta = fact.meta()?;
    let path = &settings.config;
    let wants = desired(settings, members, member.host, member.json.as_ref());
    let json = member.json.as_ref();
    let changed = wants
        .iter()
        .filter(|(key, want)| !want.holds(json.and_then(|json| json.get(key))));
    let keys: Vec<&str> = changed.map(|(key, _)| key.as_str()).collect();
    let verb = if keys.len() == 1 { "differs" } else { "differ" };
    let preview = Preview::File {
        path: path.clone(),
        before: meta.text.clone(),
        after: after.clone(),
    };
    let operation = Operation::WriteFile {
        path: path.clone(),
        text: after,
        mode: meta.mode,
        owner: meta.owner.clone(),
        group: meta.group.clone(),
        was: fact.state(),
        trial: None,
    };
    let (title, reason) = (
        format!("change {path}"),
        format!("its {} {verb}", keys.join(", ")),
    );
    Some(Task::new(member.host, title, reason, action(operation, QUICK)).preview(preview))
}
