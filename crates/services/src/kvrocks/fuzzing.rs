//! The editor of redis.conf and its relatives, for the fuzz targets.

use super::directives::{Directives, same_value};
use crate::fuzzing::Edited;

/// Directives that are set once, one that adds up, and one that is dropped.
pub fn directives(text: &str) -> Option<Edited> {
    let once = edit(text);
    let seen = Directives::parse(&once, true);
    let is_set = seen
        .last("maxmemory")
        .is_some_and(|value| same_value(value, "\"1gb\""))
        && same_value(&seen.all("save").join(" "), "3600 1 300 100")
        && seen.after(&["user", "old"]).is_empty();
    Some(Edited {
        twice: Some(edit(&once)),
        once,
        is_set,
    })
}

fn edit(text: &str) -> String {
    let mut directives = Directives::parse(text, true);
    directives.set("maxmemory", "\"1gb\"");
    directives.set("replica-priority", "100");
    directives.set_all("save", &["3600 1".to_owned(), "300 100".to_owned()]);
    directives.drop(&["user", "old"]);
    directives.text()
}
