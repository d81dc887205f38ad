//! The editor of mongod.conf, for the fuzz targets.

use serde_json::json;

use super::conf::{Change, Conf};
use crate::fuzzing::Edited;

/// Values of each sort are set, and one is removed. `None` where the file cannot be read, or edited safely.
pub fn mongod_conf(text: &str) -> Option<Edited> {
    let changes: Vec<Change> = vec![
        ("replication.replSetName".to_owned(), Some(json!("rs0"))),
        ("net.port".to_owned(), Some(json!(27017))),
        ("security.authorization".to_owned(), Some(json!("enabled"))),
        ("storage.journal.enabled".to_owned(), None),
    ];
    let once = Conf::parse(text).ok()?.edit(&changes).ok()?;
    let seen = Conf::parse(&once);
    let is_set = seen.as_ref().is_ok_and(|seen| {
        changes
            .iter()
            .all(|(path, value)| seen.get(path) == value.as_ref())
    });
    let twice = seen.ok().and_then(|seen| seen.edit(&changes).ok());
    Some(Edited { once, twice, is_set })
}
