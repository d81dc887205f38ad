//! Names of files, units and ports.

/// The server's own configuration.
pub const CONFIG: &str = "/etc/clickhouse-server/config.xml";
pub const CONFIG_D: &str = "/etc/clickhouse-server/config.d";
pub const USERS_D: &str = "/etc/clickhouse-server/users.d";
pub const ZOO_CFG: &str = "/etc/zookeeper/conf/zoo.cfg";
pub const MYID: &str = "/etc/zookeeper/conf/myid";
pub const USERS: &str = "/etc/clickhouse-server/users.d/altcraft.xml";
pub const ENVIRONMENT: &str = "/etc/default/zookeeper";
/// Exists once a ZooKeeper has taken part in an election.
pub const EPOCH: &str = "/var/lib/zookeeper/version-2/currentEpoch";
/// Exists once a Keeper has run.
pub const KEEPER_LOG: &str = "/var/lib/clickhouse/coordination/log";
/// The statements of the server's tables.
pub(super) const METADATA: &str = "/var/lib/clickhouse/metadata";
/// The server's unit.
pub const SERVER: &str = "clickhouse-server.service";
/// ZooKeeper's unit.
pub const ZK: &str = "zookeeper.service";
/// The client's table.
pub const TABLE: &str = "events";
/// The folders and files of the two packages.
pub(super) const OURS: [&str; 5] = [
    "/etc/clickhouse-server",
    "/var/lib/clickhouse",
    "/etc/zookeeper",
    "/var/lib/zookeeper",
    "/etc/default/zookeeper",
];
/// The two packages.
pub(super) const PACKAGES: [&str; 2] = ["clickhouse-server", "zookeeperd"];
/// The server's HTTP port.
pub(super) const HTTP_PORT: u16 = 8123;
/// The ports for four-letter words: `ZooKeeper`'s, Keeper's.
pub(super) const WORD_PORTS: [u16; 2] = [2181, 9181];
