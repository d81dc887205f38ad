//! Names of directives that mean the same to an engine.
//!
//! Redis and Valkey renamed directives and still read the old names; CONFIG REWRITE writes the new ones in their places
//! (`createXConfig(name, alias, ...)` and `rewriteConfigReadOldFile` in `config.c` of Redis 7.0 to 8.0 and Valkey 7.2 to 9.0;
//! ran: Valkey 8.1.1 and Redis 8.0.2). Kvrocks has one name for each.

use crate::engine::Engine;

/// An old name, the new one, and the engine that has it; `None` for both Redis and Valkey.
const RENAMED: [(&str, &str, Option<Engine>); 11] = [
    ("slaveof", "replicaof", None),
    // Redis 7.0.
    ("lua-time-limit", "busy-reply-threshold", None),
    ("server_cpulist", "server-cpulist", None),
    ("bio_cpulist", "bio-cpulist", None),
    ("aof_rewrite_cpulist", "aof-rewrite-cpulist", None),
    ("bgsave_cpulist", "bgsave-cpulist", None),
    // Valkey 8.0.
    ("masterauth", "primaryauth", Some(Engine::Valkey)),
    ("masteruser", "primaryuser", Some(Engine::Valkey)),
    // Valkey 8.1.
    (
        "slowlog-log-slower-than",
        "commandlog-execution-slower-than",
        Some(Engine::Valkey),
    ),
    (
        "slowlog-max-len",
        "commandlog-slow-execution-max-len",
        Some(Engine::Valkey),
    ),
    (
        "lua-enable-deprecated-api",
        "lua-enable-insecure-api",
        Some(Engine::Valkey),
    ),
];

/// Words within names: Redis 5.0 and 7.0.
const REWORDED: [(&str, &str); 2] = [("slave", "replica"), ("ziplist", "listpack")];

impl Engine {
    /// Whether two names, in any letter case, are the same directive to this engine.
    pub fn is_same_directive(self, one: &str, other: &str) -> bool {
        self.newest_name(one) == self.newest_name(other)
    }

    fn newest_name(self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        if self == Self::Kvrocks {
            return name;
        }
        let mut renamed = RENAMED.iter();
        let is_it = |(old, _, engine): &&(&str, &str, Option<Self>)| {
            *old == name && engine.is_none_or(|engine| engine == self)
        };
        if let Some((_, new, _)) = renamed.find(is_it) {
            return (*new).to_owned();
        }
        REWORDED
            .iter()
            .fold(name, |name, (old, new)| name.replace(old, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_config_rewrite_are_those_of_the_file() {
        // What CONFIG REWRITE of Valkey 8.1.1 and Redis 8.0.2 made of the names on the left (ran).
        let both = [
            ("slaveof", "replicaof"),
            ("SlaveOf", "replicaof"),
            ("lua-time-limit", "busy-reply-threshold"),
            ("slave-priority", "replica-priority"),
            ("min-slaves-to-write", "min-replicas-to-write"),
            ("repl-ping-slave-period", "repl-ping-replica-period"),
            ("cluster-slave-no-failover", "cluster-replica-no-failover"),
            ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
            ("hash-max-ziplist-value", "hash-max-listpack-value"),
            ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
            ("list-max-ziplist-size", "list-max-listpack-size"),
            ("bio_cpulist", "bio-cpulist"),
        ];
        let valkey = [
            ("masterauth", "primaryauth"),
            ("masteruser", "primaryuser"),
            ("slowlog-log-slower-than", "commandlog-execution-slower-than"),
            ("slowlog-max-len", "commandlog-slow-execution-max-len"),
        ];
        for (old, new) in both {
            assert!(Engine::Redis.is_same_directive(old, new), "{old}");
            assert!(Engine::Valkey.is_same_directive(old, new), "{old}");
            assert!(!Engine::Kvrocks.is_same_directive(old, new), "{old}");
        }
        for (old, new) in valkey {
            assert!(Engine::Valkey.is_same_directive(old, new), "{old}");
            assert!(!Engine::Redis.is_same_directive(old, new), "{old}");
        }
        assert!(!Engine::Valkey.is_same_directive("requirepass", "primaryauth"));
    }
}
