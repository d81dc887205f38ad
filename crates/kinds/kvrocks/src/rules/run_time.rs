//! Directives that running engines accept by CONFIG SET.

use formats::engine::Engine;

/// Whether the running engine accepts the directive by CONFIG SET.
///
/// Redis and Valkey: what is neither `IMMUTABLE_CONFIG` in `config.c` nor `port` and `bind`, which are set at run
/// time only since 7.0 and would move the server under its clients. Kvrocks: the fields that are not `readonly` in
/// `Config::Config()`; the set of those that a wrong guess would leave unapplied is small, so only the ones that
/// have been there since 2.0 are listed.
pub(crate) fn takes_at_run_time(engine: Engine, key: &str) -> bool {
    match engine {
        Engine::Kvrocks => KVROCKS_AT_RUN_TIME.contains(&key),
        Engine::Redis | Engine::Valkey => {
            let mut known = REDIS_AT_RUN_TIME.iter();
            let mut families = REDIS_FAMILIES_AT_RUN_TIME.iter();
            known.any(|known| engine.is_same_directive(known, key))
                || families.any(|family| key.starts_with(family))
        }
    }
}

const REDIS_AT_RUN_TIME: &[&str] = &[
    "activedefrag",
    "activerehashing",
    "aof-load-truncated",
    "appendfsync",
    "appendonly",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "client-output-buffer-limit",
    "client-query-buffer-limit",
    "dynamic-hz",
    "hz",
    "latency-monitor-threshold",
    "lfu-decay-time",
    "lfu-log-factor",
    "loglevel",
    "lua-time-limit",
    "masterauth",
    "maxclients",
    "maxmemory",
    "maxmemory-clients",
    "maxmemory-policy",
    "maxmemory-samples",
    "no-appendfsync-on-rewrite",
    "notify-keyspace-events",
    "proto-max-bulk-len",
    "protected-mode",
    "rdbchecksum",
    "rdbcompression",
    "requirepass",
    "save",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
    "tracking-table-max-keys",
];

const REDIS_FAMILIES_AT_RUN_TIME: &[&str] = &[
    "hash-max-",
    "lazyfree-",
    "list-max-",
    "min-replicas-",
    "min-slaves-",
    "repl-",
    "replica-",
    "set-max-",
    "slave-",
    "stream-node-",
    "zset-max-",
];

const KVROCKS_AT_RUN_TIME: &[&str] = &[
    "bgsave-cron",
    "compact-cron",
    "masterauth",
    "max-backup-keep-hours",
    "max-backup-to-keep",
    "max-db-size",
    "max-io-mb",
    "max-replication-mb",
    "maxclients",
    "profiling-sample-commands",
    "profiling-sample-ratio",
    "profiling-sample-record-max-len",
    "profiling-sample-record-threshold-ms",
    "requirepass",
    "slave-empty-db-before-fullsync",
    "slave-priority",
    "slave-read-only",
    "slave-serve-stale-data",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "timeout",
];
