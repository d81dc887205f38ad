//! What clients ask for, and what is answered.

use std::io;
use std::ops::Bound;

use super::item::{self, HASH, QUEUE, ZSET};
use super::message::Message;
use super::shared::Shared;
use super::store::{Store, Verb};

/// The version that it says it has.
pub(super) const VERSION: &str = "1.9.8";

/// The sorted set in which the ends of keys stand (`ttl.cpp`; seen). Here nothing ends.
const ENDS: &[u8] = b"\xff\xff\xff\xff\xff|EXPIRE_LIST|KV";

/// The commands, each with the fewest arguments that it takes.
const COMMANDS: &[(&[u8], usize)] = &[
    (b"ping", 0),
    (b"version", 0),
    (b"dbsize", 0),
    (b"get", 1),
    (b"set", 2),
    (b"setnx", 2),
    (b"setx", 3),
    (b"ttl", 1),
    (b"incr", 1),
    (b"del", 1),
    (b"exists", 1),
    (b"strlen", 1),
    (b"multi_set", 2),
    (b"multi_get", 1),
    (b"multi_exists", 1),
    (b"multi_del", 1),
    (b"keys", 3),
    (b"scan", 3),
    (b"rscan", 3),
    (b"hset", 3),
    (b"hget", 2),
    (b"hdel", 2),
    (b"hsize", 1),
    (b"hexists", 2),
    (b"hgetall", 1),
    (b"hscan", 4),
    (b"hlist", 3),
    (b"zset", 3),
    (b"zget", 2),
    (b"zdel", 2),
    (b"zsize", 1),
    (b"zscan", 5),
    (b"zrange", 3),
    (b"zlist", 3),
    (b"qpush", 2),
    (b"qpush_back", 2),
    (b"qpush_front", 2),
    (b"qpop", 1),
    (b"qpop_front", 1),
    (b"qpop_back", 1),
    (b"qsize", 1),
    (b"qfront", 1),
    (b"qback", 1),
    (b"qget", 2),
    (b"qrange", 3),
    (b"qlist", 3),
];

/// The answer to a command.
pub(super) fn answer(shared: &Shared, name: &[u8], args: &[Vec<u8>]) -> io::Result<Message> {
    let Some((_, fewest)) = COMMANDS.iter().find(|(known, _)| *known == name) else {
        let text = format!("Unknown Command: {}", String::from_utf8_lossy(name));
        return Ok(words(["client_error", &text]));
    };
    if args.len() < *fewest {
        return Ok(words(["client_error", "wrong number of arguments"]));
    }
    match shared.change(|store| write(store, name, args))? {
        Some(reply) => Ok(reply),
        None => Ok(shared.store(|store| read(store, name, args))),
    }
}

/// The commands that change something; `None` for others.
fn write(store: &mut Store, name: &[u8], args: &[Vec<u8>]) -> io::Result<Option<Message>> {
    let mut count = 1;
    match (name, args) {
        (b"set", [key, value, ..]) => put(store, &item::kv(key), value)?,
        (b"setnx", [key, value, ..]) => {
            count = i64::from(!store.data.contains_key(&item::kv(key)));
            if count == 1 {
                put(store, &item::kv(key), value)?;
            }
        }
        (b"setx", [key, value, seconds, ..]) => {
            put(store, &item::kv(key), value)?;
            put(store, &item::member(ZSET, ENDS, key), seconds)?;
        }
        (b"incr", [key, by @ ..]) => {
            let key = item::kv(key);
            let by = by.first().map_or(1, |text| number(text));
            count = store.data.get(&key).map_or(0, |text| number(text)) + by;
            put(store, &key, count.to_string().as_bytes())?;
        }
        (b"multi_set", pairs) => {
            let pairs = pairs.chunks_exact(2);
            count = i64::try_from(pairs.len()).unwrap_or_default();
            for pair in pairs {
                put(store, &item::kv(&pair[0]), &pair[1])?;
            }
        }
        (b"del" | b"multi_del", keys) => {
            let keys = if name == b"del" { &keys[..1] } else { keys };
            count = i64::try_from(keys.len()).unwrap_or_default();
            for key in keys {
                store.change(Verb::Delete, &item::kv(key), None, false)?;
            }
        }
        (b"hset", [of, key, value, ..]) => count = put_new(store, &item::member(HASH, of, key), value)?,
        (b"zset", [of, key, given, ..]) => {
            let given = number(given).to_string();
            count = put_new(store, &item::member(ZSET, of, key), given.as_bytes())?;
        }
        (b"hdel" | b"zdel", [of, key, ..]) => {
            let kind = if name == b"hdel" { HASH } else { ZSET };
            let key = item::member(kind, of, key);
            count = i64::from(store.data.contains_key(&key));
            if count == 1 {
                store.change(Verb::Delete, &key, None, false)?;
            }
        }
        (b"qpush" | b"qpush_back" | b"qpush_front", [queue, items @ ..]) => {
            let verb = if name == b"qpush_front" {
                Verb::PushFront
            } else {
                Verb::PushBack
            };
            for item in items {
                store.change(verb, queue, Some(item), false)?;
            }
            count = i64::try_from(store.of(QUEUE, queue).count()).unwrap_or_default();
        }
        (b"qpop" | b"qpop_front" | b"qpop_back", [queue, ..]) => {
            let verb = if name == b"qpop_back" {
                Verb::PopBack
            } else {
                Verb::PopFront
            };
            let items: Vec<_> = store.of(QUEUE, queue).map(|(_, item)| item.clone()).collect();
            let taken = if verb == Verb::PopBack {
                items.last()
            } else {
                items.first()
            };
            let Some(taken) = taken.cloned() else {
                return Ok(Some(words(["not_found"])));
            };
            store.change(verb, queue, None, false)?;
            return Ok(Some(vec![b"ok".to_vec(), taken]));
        }
        _ => return Ok(None),
    }
    Ok(Some(words(["ok", &count.to_string()])))
}

fn put(store: &mut Store, key: &[u8], value: &[u8]) -> io::Result<()> {
    store.change(Verb::Set, key, Some(value), false)
}

/// Sets a field or member, which is no change where it has that value: 1 where it was not there.
fn put_new(store: &mut Store, key: &[u8], value: &[u8]) -> io::Result<i64> {
    let old = store.data.get(key);
    let is_new = old.is_none();
    if old.is_none_or(|old| old != value) {
        put(store, key, value)?;
    }
    Ok(i64::from(is_new))
}

fn read(store: &Store, name: &[u8], args: &[Vec<u8>]) -> Message {
    let found = |value: Option<&Vec<u8>>| {
        value.map_or_else(
            || words(["not_found"]),
            |value| vec![b"ok".to_vec(), value.clone()],
        )
    };
    let one = |count: usize| words(["ok", &count.to_string()]);
    let kind = |name: &[u8]| match name[0] {
        b'h' => HASH,
        b'z' => ZSET,
        _ => QUEUE,
    };
    let key = |key: &Vec<u8>| store.data.get(&item::kv(key));
    match (name, args) {
        (b"version", _) => words(["ok", VERSION]),
        // What stands in its own files is about as much.
        (b"dbsize", _) => one(size(store)),
        (b"get", [name, ..]) => found(key(name)),
        (b"ttl", [name, ..]) => {
            let end = store.data.get(&item::member(ZSET, ENDS, name));
            vec![b"ok".to_vec(), end.cloned().unwrap_or(b"-1".to_vec())]
        }
        (b"exists", [name, ..]) => one(usize::from(key(name).is_some())),
        (b"strlen", [name, ..]) => one(key(name).map_or(0, Vec::len)),
        (b"multi_get", names) => {
            let found = names
                .iter()
                .filter_map(|name| Some([name.clone(), key(name)?.clone()]));
            ok(found.flatten())
        }
        (b"multi_exists", names) => {
            let is_there = |name: &Vec<u8>| if key(name).is_some() { b"1" } else { b"0" };
            ok(names
                .iter()
                .flat_map(|name| [name.clone(), is_there(name).to_vec()]))
        }
        (b"keys" | b"scan" | b"rscan", [from, to, limit, ..]) => scan(store, name, from, to, limit),
        (b"hget" | b"zget", [of, key, ..]) => found(store.data.get(&item::member(kind(name), of, key))),
        (b"hexists", [of, key, ..]) => {
            one(usize::from(store.data.contains_key(&item::member(HASH, of, key))))
        }
        (b"hsize" | b"zsize" | b"qsize", [of, ..]) => one(store.of(kind(name), of).count()),
        (b"hgetall" | b"hscan", [of, ..]) => ok(members(store, HASH, of).flatten()),
        (b"zscan" | b"zrange", [of, ..]) => {
            let mut all: Vec<_> = members(store, ZSET, of).collect();
            all.sort_by_key(|[key, score]| (number(score), key.clone()));
            ok(all.into_iter().flatten())
        }
        (b"hlist" | b"zlist" | b"qlist", [from, to, limit, ..]) => list(store, kind(name), from, to, limit),
        (b"qfront", [queue, ..]) => found(store.of(QUEUE, queue).next().map(|(_, item)| item)),
        (b"qback", [queue, ..]) => found(store.of(QUEUE, queue).next_back().map(|(_, item)| item)),
        (b"qget", [queue, at, ..]) => {
            let at = usize::try_from(number(at)).unwrap_or(usize::MAX);
            found(store.of(QUEUE, queue).nth(at).map(|(_, item)| item))
        }
        (b"qrange", [queue, from, count, ..]) => {
            let at = |text: &[u8]| usize::try_from(number(text)).unwrap_or_default();
            let items = store.of(QUEUE, queue).skip(at(from)).take(at(count));
            ok(items.map(|(_, item)| item.clone()))
        }
        // `ping`.
        _ => words(["ok"]),
    }
}

fn scan(store: &Store, name: &[u8], from: &[u8], to: &[u8], limit: &[u8]) -> Message {
    let (begin, end) = (item::kv(from), item::kv(to));
    let after_all = vec![item::KV + 1];
    let (low, high) = match (name, from.is_empty(), to.is_empty()) {
        (b"rscan", true, true) => (Bound::Included(vec![item::KV]), Bound::Excluded(after_all)),
        (b"rscan", false, true) => (Bound::Included(vec![item::KV]), Bound::Excluded(begin)),
        (b"rscan", true, false) => (Bound::Included(end), Bound::Excluded(after_all)),
        (b"rscan", ..) => (Bound::Included(end), Bound::Excluded(begin)),
        (_, _, true) => (Bound::Excluded(begin), Bound::Excluded(after_all)),
        _ => (Bound::Excluded(begin), Bound::Included(end)),
    };
    let all = store.data.range::<Vec<u8>, _>((low, high));
    let all = all.map(|(key, value)| (key[1..].to_vec(), value.clone()));
    let all: Vec<_> = if name == b"rscan" {
        all.rev().take(most(limit)).collect()
    } else {
        all.take(most(limit)).collect()
    };
    let has_values = name != b"keys";
    ok(all
        .into_iter()
        .flat_map(|(key, value)| [Some(key), has_values.then_some(value)].into_iter().flatten()))
}

/// The names of hashes, sorted sets or queues.
fn list(store: &Store, kind: u8, from: &[u8], to: &[u8], limit: &[u8]) -> Message {
    let all = store.data.range(vec![kind]..vec![kind + 1]);
    let mut names: Vec<Vec<u8>> = all
        .filter_map(|(key, _)| Some(item::split(key)?.0.to_vec()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| name.as_slice() > from && (to.is_empty() || name.as_slice() <= to));
    names.truncate(most(limit));
    ok(names)
}

/// The members of a hash or sorted set with their values.
fn members<'s>(store: &'s Store, kind: u8, of: &[u8]) -> impl Iterator<Item = [Vec<u8>; 2]> + use<'s> {
    let members: Vec<_> = store.of(kind, of).collect();
    let members = members.into_iter();
    members.filter_map(|(key, value)| Some([item::split(key)?.1.to_vec(), value.clone()]))
}

/// The bytes of all that is stored.
pub(super) fn size(store: &Store) -> usize {
    store
        .data
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

/// What a text begins with, as C reads it.
fn number(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start();
    let digits = text.trim_start_matches(['-', '+']);
    let end = digits
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(digits.len());
    text[..text.len() - digits.len() + end]
        .parse()
        .unwrap_or_default()
}

/// A limit: all where it is below 0.
fn most(limit: &[u8]) -> usize {
    usize::try_from(number(limit)).unwrap_or(usize::MAX)
}

fn ok(items: impl IntoIterator<Item = Vec<u8>>) -> Message {
    std::iter::once(b"ok".to_vec()).chain(items).collect()
}

/// Words as a message.
pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Message {
    words.into_iter().map(|word| word.as_bytes().to_vec()).collect()
}
