//! What differs between the engines.
//!
//! Kvrocks speaks the protocol of Redis and lets Redis Sentinel fail it over; Valkey is a fork of Redis 7.2. Sources:
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>, `config.c` of Redis 7.0 and Valkey 8,
//! <https://kvrocks.apache.org/docs/supported-commands> and `src/config/config.cc` of Kvrocks 2.

/// The server that holds the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Apache Kvrocks.
    Kvrocks,
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// Where an engine's packages put things.
pub struct Defaults {
    /// The configuration file.
    pub config: &'static str,
    /// The unit.
    pub unit: &'static str,
    /// The package; empty where the distribution has none.
    pub package: &'static str,
    /// Who owns the configuration and runs the process: user and group.
    pub owner: &'static str,
    /// Sentinel's configuration file.
    pub sentinel_config: &'static str,
    /// Sentinel's unit.
    pub sentinel_unit: &'static str,
    /// Sentinel's package.
    pub sentinel_package: &'static str,
    /// Who owns Sentinel's configuration.
    pub sentinel_owner: &'static str,
    /// The engine's own default port, on which a freshly installed one listens.
    pub port: u16,
    /// What stands at these paths where the engine holds data; nothing there proves that it holds none.
    pub data: &'static [&'static str],
    /// The directory of the data, as the packaged configuration names it.
    pub data_dir: &'static str,
    /// The configuration of a host on which the package is not installed yet: what Debian's own file says beside
    /// defaults. Empty where nobody can know it.
    pub base: &'static str,
}

const KVROCKS: Defaults = Defaults {
    config: "/etc/kvrocks/kvrocks.conf",
    unit: "kvrocks.service",
    package: "kvrocks",
    owner: "kvrocks",
    sentinel_config: "/etc/redis/sentinel.conf",
    sentinel_unit: "redis-sentinel.service",
    sentinel_package: "redis-sentinel",
    sentinel_owner: "redis",
    port: 6666,
    data: &["/var/lib/kvrocks/db"],
    data_dir: "/var/lib/kvrocks",
    base: "",
};

const REDIS: Defaults = Defaults {
    config: "/etc/redis/redis.conf",
    unit: "redis-server.service",
    package: "redis-server",
    owner: "redis",
    sentinel_config: "/etc/redis/sentinel.conf",
    sentinel_unit: "redis-sentinel.service",
    sentinel_package: "redis-sentinel",
    sentinel_owner: "redis",
    port: 6379,
    data: &["/var/lib/redis/dump.rdb", "/var/lib/redis/appendonlydir"],
    data_dir: "/var/lib/redis",
    base: "# Everything that does not stand here has the server's default.\n\
           bind 127.0.0.1\n\
           dir /var/lib/redis\n\
           logfile /var/log/redis/redis-server.log\n\
           pidfile /run/redis/redis-server.pid\n",
};

const VALKEY: Defaults = Defaults {
    config: "/etc/valkey/valkey.conf",
    unit: "valkey-server.service",
    package: "valkey-server",
    owner: "valkey",
    sentinel_config: "/etc/valkey/sentinel.conf",
    sentinel_unit: "valkey-sentinel.service",
    sentinel_package: "valkey-sentinel",
    sentinel_owner: "valkey",
    port: 6379,
    data: &["/var/lib/valkey/dump.rdb", "/var/lib/valkey/appendonlydir"],
    data_dir: "/var/lib/valkey",
    base: "# Everything that does not stand here has the server's default.\n\
           bind 127.0.0.1\n\
           dir /var/lib/valkey\n\
           logfile /var/log/valkey/valkey-server.log\n\
           pidfile /run/valkey/valkey-server.pid\n",
};

impl Engine {
    /// Its name, as in the inventory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvrocks => "kvrocks",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    /// Where its packages put things.
    pub fn defaults(self) -> &'static Defaults {
        match self {
            Self::Kvrocks => &KVROCKS,
            Self::Redis => &REDIS,
            Self::Valkey => &VALKEY,
        }
    }

    /// The directive that makes a node a replica. Older Kvrocks ignores `replicaof` without a word (seen); newer ones
    /// take both.
    pub fn replica_directive(self) -> &'static str {
        match self {
            Self::Kvrocks => "slaveof",
            Self::Redis | Self::Valkey => "replicaof",
        }
    }

    /// Where it listens when its configuration has no `bind`: Redis and Valkey on all addresses, Kvrocks on the
    /// loopback (`kDefaultBindAddress`).
    pub fn default_bind(self) -> &'static str {
        match self {
            Self::Kvrocks => "127.0.0.1",
            Self::Redis | Self::Valkey => "* -::*",
        }
    }

    /// The reply to a lag in its own unit that counts as caught up: bytes of the replication stream, and for Kvrocks
    /// sequence numbers of its store, of which one write takes at least one.
    pub fn small_lag(self) -> i64 {
        match self {
            Self::Kvrocks => 10_000,
            Self::Redis | Self::Valkey => 1_000_000,
        }
    }

    /// The unit of its replication offset.
    pub fn lag_unit(self) -> &'static str {
        match self {
            Self::Kvrocks => "writes",
            Self::Redis | Self::Valkey => "B",
        }
    }

    /// Directives whose lines add up instead of replacing each other.
    pub fn adds_up(key: &str) -> bool {
        matches!(
            key,
            "save" | "rename-command" | "client-output-buffer-limit" | "loadmodule" | "user" | "include"
        )
    }
}
