//! Macros of a server with replicated tables.
//!
//! The paths of such tables are kept with the macros in them, and read again at the server's next start: a table whose macro
//! has changed looks for its state in another place, finds none there, and is read-only.

use std::collections::BTreeMap;

use plan::Refusal;

use super::files::macros_of;
use super::shape::at;
use crate::observe::server::replies::{Live, Replica};
use crate::observe::view::{Member, View};
use kit::Probe;

/// Why the macros of a host are not changed; `None` where they are as they should be, or where no table depends on them.
pub(crate) fn refusal(view: &View<'_>, member: &Member<'_>) -> Option<Refusal> {
    let wanted = macros_of(view.settings, member.host);
    let now = match &member.server {
        Probe::Up(live) => live.macros.clone(),
        // The file of a server that refuses our login, or does not answer, is left as it is anyway.
        Probe::Denied(_) | Probe::Unknown(_) => return None,
        Probe::Down(_) => {
            let last = at(member.merged.as_ref()?, "macros")?;
            let macros = last
                .children
                .iter()
                .map(|one| (one.name.clone(), one.text.clone()));
            macros.collect()
        }
    };
    let (name, value, found) = wanted.iter().find_map(|(name, value)| {
        let found = now.get(name).filter(|found| *found != value)?;
        Some((name, value, found))
    })?;
    let why = match &member.server {
        Probe::Up(live) => depending(live, &wanted)?,
        _ => {
            "its server does not run, and does not tell which of its tables have it in their paths".to_owned()
        }
    };
    let host = member.host;
    let refusal = Refusal::new(
        format!("the macro {name} of {host} is not changed from {found} to {value}"),
        why,
        format!(
            "set macros = {{ {host} = {{ {name} = \"{found}\" }} }} in the inventory, or start the server first"
        ),
    );
    Some(refusal.on(host))
}

/// Why the tables of a server depend on its macros as they are; `None` where each has the path that the wanted macros give.
fn depending(live: &Live, wanted: &BTreeMap<String, String>) -> Option<String> {
    let tables = match &live.replicas {
        Ok(tables) => tables,
        Err(why) => return Some(format!("it does not tell which replicated tables it has: {why}")),
    };
    let depends = |replica: &&Replica| {
        let engine = live
            .engines
            .as_ref()
            .and_then(|engines| engines.get(&replica.table));
        engine.is_none_or(|engine| !gives(engine, wanted, replica))
    };
    let replica = tables.iter().find(depends)?;
    Some(format!(
        "{} has it in its path, {} with the replica {}, and would be read-only after the next start",
        replica.full_name(),
        replica.path,
        replica.name
    ))
}

/// Whether a table's engine, with these macros, means the replica that it is.
fn gives(engine: &str, macros: &BTreeMap<String, String>, replica: &Replica) -> bool {
    let mut quoted = engine.split('\'').skip(1).step_by(2);
    let (Some(path), Some(name)) = (quoted.next(), quoted.next()) else {
        return false;
    };
    let expand = |text: &str| {
        let named = macros.iter();
        named.fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    };
    matches(&expand(path), &replica.path) && matches(&expand(name), &replica.name)
}

/// Whether a text is what a pattern says; other macros in it, such as `{uuid}`, stand for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else {
        return pattern == text;
    };
    let (Some((_, after)), Some(left)) = (rest.split_once('}'), text.strip_prefix(before)) else {
        return false;
    };
    let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
    ends.filter_map(|at| left.get(at..))
        .any(|left| matches(after, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_the_macros_in_them() {
        let replica = Replica {
            table: ("default".to_owned(), "events".to_owned()),
            is_readonly: false,
            is_session_expired: false,
            total: 1,
            active: 1,
            delay: 0,
            queue: 0,
            path: "/clickhouse/tables/01/default/events".to_owned(),
            name: "db1".to_owned(),
        };
        let macros = |shard: &str, replica: &str| {
            BTreeMap::from([
                ("shard".to_owned(), shard.to_owned()),
                ("replica".to_owned(), replica.to_owned()),
            ])
        };
        let engine =
            "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/events', '{replica}') ORDER BY id";
        assert!(gives(engine, &macros("01", "db1"), &replica));
        assert!(!gives(engine, &macros("02", "db1"), &replica));
        assert!(!gives(engine, &macros("01", "r1"), &replica));
        let fixed = "ReplicatedMergeTree('/clickhouse/tables/01/default/events', 'db1')";
        assert!(gives(fixed, &macros("07", "r9"), &replica));
        assert!(!gives("MergeTree ORDER BY id", &macros("01", "db1"), &replica));
    }
}
