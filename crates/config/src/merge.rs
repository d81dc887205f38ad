//! Overlays: one inventory for production, staging and the lab.
//!
//! An overlay is another TOML file laid over the inventory: tables are merged key by key, anything else replaces
//! what was there. A host that is written as an address is a table of that address alone, so what is laid over it adds to
//! it. A reference to a secret is one value although it is written as a table: `{ env = "X" }` over
//! `{ file = "p" }` replaces it, for a reference with two sources would mean nothing.

use crate::secret;
use crate::value::{Entry, Table, ValueKind};

/// The only part of an inventory whose tables may be references. A variable or a host may be called `env` or `file`.
const WITH_SECRETS: &str = "services";

/// Lays an inventory over another.
pub(crate) fn overlay(base: &mut Table, over: Table) {
    spell_out_addresses(base, &over);
    lay(base, over, &|key| key == WITH_SECRETS);
}

/// Makes tables of the addresses of those hosts over which a table is laid: without its address a host is looked for under
/// its name, and all that reach it there would be changed.
fn spell_out_addresses(base: &mut Table, over: &Table) {
    let hosts = base.entries.iter_mut().find(|entry| entry.key == "hosts");
    let Some(ValueKind::Table(hosts)) = hosts.map(|entry| &mut entry.value.kind) else {
        return;
    };
    let Some(ValueKind::Table(over)) = over.get("hosts").map(|entry| &entry.value.kind) else {
        return;
    };
    for host in &mut hosts.entries {
        let is_table = |entry: &Entry| matches!(entry.value.kind, ValueKind::Table(_));
        if matches!(host.value.kind, ValueKind::String(_)) && over.get(&host.key).is_some_and(is_table) {
            let address = Entry {
                key: "address".to_owned(),
                key_span: host.key_span,
                value: host.value.clone(),
            };
            host.value.kind = ValueKind::Table(Table {
                span: host.value.span,
                entries: vec![address],
            });
        }
    }
}

/// Lays a table over another; `has_secrets` tells of an entry whether references may stand in it.
fn lay(base: &mut Table, over: Table, has_secrets: &dyn Fn(&str) -> bool) {
    for entry in over.entries {
        let Some(existing) = base.entries.iter_mut().find(|existing| existing.key == entry.key) else {
            base.entries.push(entry);
            continue;
        };
        let has_secrets = has_secrets(&entry.key);
        match (&mut existing.value.kind, entry.value.kind) {
            (ValueKind::Table(base), ValueKind::Table(over))
                if !(has_secrets && secret::is_reference(base) && secret::is_reference(&over)) =>
            {
                lay(base, over, &|_| has_secrets);
            }
            (_, kind) => {
                existing.key_span = entry.key_span;
                existing.value.span = entry.value.span;
                existing.value.kind = kind;
            }
        }
    }
}
