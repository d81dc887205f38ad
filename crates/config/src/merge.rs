//! Overlays: one inventory for production, staging and the lab.
//!
//! An overlay is another TOML file laid over the inventory: tables are merged key by key, anything else replaces
//! what was there. A reference to a secret is one value although it is written as a table: `{ env = "X" }` over
//! `{ file = "p" }` replaces it, for a reference with two sources would mean nothing.

use crate::secret;
use crate::value::{Table, ValueKind};

/// Lays a table over another.
pub(crate) fn overlay(base: &mut Table, over: Table) {
    for entry in over.entries {
        let Some(existing) = base.entries.iter_mut().find(|existing| existing.key == entry.key) else {
            base.entries.push(entry);
            continue;
        };
        match (&mut existing.value.kind, entry.value.kind) {
            (ValueKind::Table(base), ValueKind::Table(over)) if !secret::is_reference(&over) => {
                overlay(base, over);
            }
            (_, kind) => {
                existing.key_span = entry.key_span;
                existing.value.span = entry.value.span;
                existing.value.kind = kind;
            }
        }
    }
}
