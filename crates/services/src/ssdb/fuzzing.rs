//! The editor of ssdb.conf, for the fuzz targets.

use super::conf::Conf;
use crate::fuzzing::Edited;

/// Values are set and read again. `None` where the server would not take the file.
pub fn ssdb_conf(text: &str) -> Option<Edited> {
    let once = edit(text)?;
    let seen = Conf::parse(&once).ok();
    let is_set = seen.is_some_and(|seen| {
        seen.get(&["server", "port"]) == Some("8888") && seen.get(&["replication", "binlog"]) == Some("yes")
    });
    Some(Edited {
        twice: edit(&once),
        once,
        is_set,
    })
}

fn edit(text: &str) -> Option<String> {
    let mut conf = Conf::parse(text).ok()?;
    for (path, value) in [(["server", "port"], "8888"), (["replication", "binlog"], "yes")] {
        if conf.get(&path) != Some(value) {
            conf.set(&path, value);
        }
    }
    Some(conf.text())
}
