//! The readers of ClickHouse's XML and of zoo.cfg, for the fuzz targets.

use super::{xml as reader, zoo};
use crate::fuzzing::Edited;

/// Whether a text is XML. Macros and the server's own config.xml are read by the same reader.
pub fn xml(text: &str) -> bool {
    let root = reader::parse(text);
    if let Ok(root) = &root {
        // What files are asked for.
        let _ = (
            root.child("macros"),
            root.text_at(&["macros", "replica"]),
            root.all("x").count(),
        );
    }
    root.is_ok() && reader::is_same(text, &format!("{text}\n"))
}

/// Keys of zoo.cfg are set, and the members are read again.
pub fn zoo_cfg(text: &str) -> Option<Edited> {
    let wanted = [
        ("tickTime", "2000"),
        ("server.1", "db1:2888:3888"),
        ("server.2", "db2:2888:3888"),
    ];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let _ = zoo::seen(Some(text), Some(text));
    let once = zoo::edit(text, &wanted, Some(3));
    let mut members = zoo::servers(&once);
    members.sort();
    let is_set = members == [(1, "db1".to_owned()), (2, "db2".to_owned())]
        && zoo::value(&once, "tickTime") == Some("2000")
        && zoo::seen(Some(&once), None).mark == Some(3);
    Some(Edited {
        twice: Some(zoo::edit(&once, &wanted, Some(3))),
        once,
        is_set,
    })
}
