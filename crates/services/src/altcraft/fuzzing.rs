//! The editor of main.json, for the fuzz targets.

use serde_json::json;

use super::merge::{merge, parse};
use super::want::{Want, has, is};
use crate::fuzzing::Edited;

/// A value, an object, a list and a key that is not to be there are merged. `None` where the file cannot be edited.
pub fn main_json(text: &str) -> Option<Edited> {
    let place = |name: &str| vec![is("HOST", name), is("PORT", 4420)];
    let wants = vec![
        is("PROCESS", "proctask"),
        has("CLUSTER", vec![is("NAME", "altcraft"), is("MASTER", true)]),
        (
            "SSDB".to_owned(),
            Want::List("HOST", vec![place("db1"), place("db2")]),
        ),
        ("OLD".to_owned(), Want::Gone),
    ];
    let once = merge(text, &wants).ok()?;
    let seen = parse(&once).unwrap_or(json!(null));
    let is_set = wants.iter().all(|(key, want)| want.holds(seen.get(key)));
    Some(Edited {
        twice: merge(&once, &wants).ok(),
        once,
        is_set,
    })
}
