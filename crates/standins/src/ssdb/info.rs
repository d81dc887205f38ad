//! `info`: what the server says of itself, in the order and the spelling of the real one (`serv.cpp`; seen).

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::commands::{VERSION, size, words};
use super::item;
use super::message::Message;
use super::shared::Shared;
use super::slave::Slave;
use super::store::Store;

/// The reply; what is asked for is a section, or everything.
pub(super) fn info(shared: &Shared, asked: Option<&str>) -> io::Result<Message> {
    let links = shared.links.load(Ordering::Relaxed).to_string();
    let calls = shared.calls.load(Ordering::Relaxed).to_string();
    let (size, binlogs, ranges) = shared.trimmed(|store| {
        let (capacity, min, max) = (store.capacity, store.min_seq(), store.max_seq);
        let binlogs = format!("    capacity : {capacity}\n    min_seq  : {min}\n    max_seq  : {max}");
        (size(store).to_string(), binlogs, ranges(store))
    })?;
    let mut reply = words(["ok", "ssdb-server", "version", VERSION]);
    reply.extend(words(["links", &links, "total_calls", &calls]));
    reply.extend(words(["dbsize", &size, "binlogs", &binlogs]));
    let clients = shared
        .clients
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let clients = clients.iter().map(|client| client.stats());
    for block in clients.chain(shared.slaves.iter().map(Slave::stats)) {
        reply.extend(words(["replication", &block]));
    }
    reply.extend(words(["serv_key_range", &block([("", ""); 4])]));
    if matches!(asked, None | Some("range")) {
        let [kv, hash, zset, list] = &ranges;
        let pairs = [kv, hash, zset, list].map(|(first, last)| (first.as_str(), last.as_str()));
        reply.extend(words(["data_key_range", &block(pairs)]));
    }
    if matches!(asked, None | Some("leveldb")) {
        // The head of a table without a line: nothing here is a level's.
        let head = "                               Compactions\nLevel  Files Size(MB) Time(sec) Read(MB) Write(MB)\n\
                    --------------------------------------------------\n";
        reply.extend(words(["leveldb.stats", head]));
    }
    Ok(reply)
}

fn block(pairs: [(&str, &str); 4]) -> String {
    let lines = ["kv  ", "hash", "zset", "list"].into_iter().zip(pairs);
    let lines = lines.map(|(name, (first, last))| format!("    {name}: {first:?} - {last:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first and the last name of each sort. The list of ends is none of them.
fn ranges(store: &Store) -> [(String, String); 4] {
    [item::KV, item::HASH, item::ZSET, item::QUEUE].map(|kind| {
        let all = store
            .data
            .range(vec![kind]..vec![kind + 1])
            .filter_map(|(key, _)| match kind {
                item::KV => key.get(1..),
                _ => item::split(key).map(|(name, _)| name),
            });
        let mut all = all.filter(|name| name.first() != Some(&0xff));
        let first = all.next().unwrap_or_default();
        let last = all.next_back().unwrap_or(first);
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        (text(first), text(last))
    })
}
