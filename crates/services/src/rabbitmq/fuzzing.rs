//! The editor of rabbitmq.conf, for the fuzz targets.

use super::conf;
use crate::fuzzing::Edited;

/// Keys are set and read again.
pub fn rabbitmq_conf(text: &str) -> Option<Edited> {
    let wanted = [
        ("vm_memory_high_watermark.relative", "0.6"),
        ("queue_leader_locator", "balanced"),
    ];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let once = conf::edited(text, &wanted);
    let is_set = wanted.iter().all(|(key, value)| {
        let settings = once.lines().filter_map(conf::setting);
        let mut of_key = settings.filter(|(found, _)| found == key);
        of_key.next_back().is_some_and(|(_, found)| found == value)
    });
    Some(Edited {
        twice: Some(conf::edited(&once, &wanted)),
        once,
        is_set,
    })
}
