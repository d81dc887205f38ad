//! What is stored: keys and values, hashes, sorted sets and queues, under one key each as the real server has them
//! (`t_kv.h`, `t_hash.h`, `t_zset.h`, `t_queue.h`). A copy sends them in the order of these keys.

/// What a key begins with.
pub(super) const HASH: u8 = b'h';
/// The same for keys and values.
pub(super) const KV: u8 = b'k';
/// The same for queues.
pub(super) const QUEUE: u8 = b'q';
/// The same for sorted sets.
pub(super) const ZSET: u8 = b's';

/// The number of a queue's first item, as far from both ends as can be.
pub(super) const FIRST: u64 = u64::MAX / 2;

/// A key and its value.
pub(super) fn kv(key: &[u8]) -> Vec<u8> {
    [&[KV], key].concat()
}

/// What the keys of a collection begin with.
pub(super) fn of(kind: u8, name: &[u8]) -> Vec<u8> {
    // A name has 255 bytes at most.
    let len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[kind, len], name, b"="].concat()
}

/// A field of a hash, or a member of a sorted set.
pub(super) fn member(kind: u8, name: &[u8], key: &[u8]) -> Vec<u8> {
    [&of(kind, name), key].concat()
}

/// An item of a queue.
pub(super) fn queued(name: &[u8], seq: u64) -> Vec<u8> {
    [&of(QUEUE, name)[..], &seq.to_be_bytes()].concat()
}

/// The name of a collection and what comes after it, of a key as it is stored.
pub(super) fn split(item: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = item.get(1..)?.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(len))?;
    Some((name, rest.get(1..)?))
}

/// The number of a queue's item.
pub(super) fn seq(item: &[u8]) -> Option<u64> {
    let (_, rest) = split(item)?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}
