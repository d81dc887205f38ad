//! Overlays: one inventory for production, staging and the lab.
//!
//! An overlay is another TOML file laid over the inventory: tables are merged key by key, anything else replaces
//! what was there. A reference to a secret is one value although it is written as a table: `{ env = "X" }` over
//! `{ file = "p" }` replaces it, for a reference with two sources would mean nothing.

use crate::secret;
use crate::value::{Table, ValueKind};

/// The only part of an inventory whose tables may be references. A variable or a host may be called `env` or `file`.
const WITH_SECRETS: &str = "services";

/// Lays an inventory over another.
pub(crate) fn overlay(base: &mut Table, over: Table) {
    lay(base, over, &|key| key == WITH_SECRETS);
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
