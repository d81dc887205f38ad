//! The values of directives that stand in no file.
//!
//! Redis and Valkey: those of `config.c` that are the same from Redis 5.0 to 8.0 and in Valkey 8.1 (ran: 7.0.15). Kvrocks:
//! what CONFIG GET of 2.6 says with a file that has none of them (recorded).

use formats::engine::Engine;

/// The default of a directive; `None` where it is not known here, or differs between versions.
pub(crate) fn default_of(engine: Engine, key: &str) -> Option<&'static str> {
    let mut known = known(engine).iter();
    let found = known.find(|(known, _)| engine.is_same_directive(known, key));
    found.map(|(_, default)| *default)
}

/// The directives that a process may run with otherwise than its file says, no matter who changed what.
pub(crate) fn compared(engine: Engine) -> impl Iterator<Item = &'static str> {
    let others = match engine {
        Engine::Kvrocks => KVROCKS_OTHERS,
        Engine::Redis | Engine::Valkey => REDIS_OTHERS,
    };
    let known = known(engine).iter().map(|(key, _)| *key);
    known.chain(others.iter().copied())
}

fn known(engine: Engine) -> &'static [(&'static str, &'static str)] {
    match engine {
        Engine::Kvrocks => KVROCKS,
        Engine::Redis | Engine::Valkey => REDIS,
    }
}

/// Those whose defaults are not the same everywhere, or depend on the host.
const REDIS_OTHERS: &[&str] = &[
    "client-output-buffer-limit",
    "io-threads",
    "maxclients",
    "repl-backlog-size",
    "repl-diskless-sync",
    "save",
];

const KVROCKS_OTHERS: &[&str] = &[
    "bgsave-cron",
    "compact-cron",
    "log-level",
    "max-backup-keep-hours",
    "maxclients",
    "slowlog-log-slower-than",
];

const REDIS: &[(&str, &str)] = &[
    ("activedefrag", "no"),
    ("activerehashing", "yes"),
    ("aof-load-truncated", "yes"),
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("auto-aof-rewrite-min-size", "64mb"),
    ("auto-aof-rewrite-percentage", "100"),
    ("databases", "16"),
    ("dynamic-hz", "yes"),
    ("hz", "10"),
    ("latency-monitor-threshold", "0"),
    ("lfu-decay-time", "1"),
    ("lfu-log-factor", "10"),
    ("loglevel", "notice"),
    ("lua-time-limit", "5000"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("min-replicas-max-lag", "10"),
    ("min-replicas-to-write", "0"),
    ("no-appendfsync-on-rewrite", "no"),
    ("notify-keyspace-events", "\"\""),
    ("proto-max-bulk-len", "512mb"),
    ("rdbcompression", "yes"),
    ("repl-backlog-ttl", "3600"),
    ("repl-disable-tcp-nodelay", "no"),
    ("repl-timeout", "60"),
    ("replica-priority", "100"),
    ("replica-read-only", "yes"),
    ("replica-serve-stale-data", "yes"),
    ("set-max-intset-entries", "512"),
    ("slowlog-log-slower-than", "10000"),
    ("slowlog-max-len", "128"),
    ("stop-writes-on-bgsave-error", "yes"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("tcp-backlog", "511"),
    ("tcp-keepalive", "300"),
    ("timeout", "0"),
];

const KVROCKS: &[(&str, &str)] = &[
    ("max-backup-to-keep", "1"),
    ("max-db-size", "0"),
    ("max-io-mb", "0"),
    ("max-replication-mb", "0"),
    ("profiling-sample-ratio", "0"),
    ("slave-empty-db-before-fullsync", "no"),
    ("slave-priority", "100"),
    ("slave-read-only", "yes"),
    ("slave-serve-stale-data", "yes"),
    ("slowlog-max-len", "128"),
    ("tcp-backlog", "511"),
    ("timeout", "0"),
    ("workers", "8"),
];
