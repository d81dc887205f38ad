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

/// The desired keys on a host, in a cluster of these members.
pub(crate) fn desired(settings: &Settings, members: &[HostName], host: &HostName) -> Wants {
    let mut wants = databases::blocks(settings);
    wants.push(cluster_block::block(settings, members, host));
    lay_over(&mut wants, settings.main.clone());
    wants
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
    let merged = merge(before.as_str(), &desired(settings, members, member.host));
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
    let wants = desired(settings, members, member.host);
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
    };
    let (title, reason) = (
        format!("change {path}"),
        format!("its {} {verb}", keys.join(", ")),
    );
    Some(Task::new(member.host, title, reason, action(operation, QUICK)).preview(preview))
}
