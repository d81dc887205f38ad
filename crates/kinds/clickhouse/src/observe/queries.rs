//! What is asked of each host.

use protocol::facts::{
    CandidateQuery, FileQuery, HttpAccount, HttpEndpoint, HttpQuery, HttpRequest, PackageQuery, Query,
    UnitQuery, WordsQuery,
};
use protocol::{Encoding, FactQuery, Text};
use types::HostName;

use crate::rules::coordination::zoo_cfg as zoo;
use crate::settings::{Coordination, Settings, ZooKeeper};

/// Values of these elements do not leave the host.
const MASKS: [&str; 1] = [
    r"(?i)<(?:[a-z0-9_]*password[a-z0-9_]*|secret|key|access_key_id|secret_access_key)(?:\s[^>]*)?>\s*(?:<!\[CDATA\[)?(.+?)(?:\]\]>)?\s*</",
];
/// How long the server may take to answer, in milliseconds.
const LIMIT: u64 = 5_000;

/// The table that the round trip of distributed DDL makes and drops.
pub(crate) const CHECK_TABLE: &str = "clusterctl_check";

/// Everything that is asked of a host.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let mut queries = vec![
        config(settings).wrap(),
        default_users(settings).wrap(),
        merged_users(settings).wrap(),
        directory(&settings.config_d()).wrap(),
        directory(&settings.users_d()).wrap(),
    ];
    if !settings.package.is_empty() {
        queries.push(package(settings).wrap());
        queries.push(candidate(settings).wrap());
    }
    queries.extend(config_files(settings).iter().map(Query::wrap));
    queries.extend(users_file(settings).iter().map(Query::wrap));
    if settings.keeper().is_some() {
        queries.push(keeper_log(settings).wrap());
    }
    if let Some(zookeeper) = settings.zookeeper() {
        queries.extend(zookeeper_files(zookeeper).iter().map(Query::wrap));
    }
    queries.extend(endpoints(settings, host).iter().map(|at| registered(at).wrap()));
    queries.extend(live(settings, host));
    queries
}

/// What running servers are asked: what gates watch.
pub(crate) fn live(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let mut queries = vec![UnitQuery::new(&settings.unit).wrap()];
    for at in endpoints(settings, host) {
        queries.push(state(settings, &at).wrap());
        queries.push(replicas(&at).wrap());
        queries.push(session(&at).wrap());
    }
    if let Some(zookeeper) = settings.zookeeper() {
        queries.push(UnitQuery::new(&zookeeper.unit).wrap());
    }
    queries.extend(words(settings, host).iter().map(Query::wrap));
    queries
}

/// The server's package.
pub(crate) fn package(settings: &Settings) -> PackageQuery {
    PackageQuery {
        name: settings.package.clone(),
    }
}

/// Which version would be installed, where none is: the root element depends on it.
pub(crate) fn candidate(settings: &Settings) -> CandidateQuery {
    CandidateQuery {
        name: settings.package.clone(),
        unless: config(settings).path,
    }
}

/// The server's own configuration, which is never changed.
pub(crate) fn config(settings: &Settings) -> FileQuery {
    FileQuery::text(format!("{}/config.xml", settings.config_dir)).masking(&MASKS)
}

/// The package's users.
pub(crate) fn default_users(settings: &Settings) -> FileQuery {
    FileQuery::text(format!("{}/users.xml", settings.config_dir)).masking(&MASKS)
}

/// The users as the server put them together when it last read them.
pub(crate) fn merged_users(settings: &Settings) -> FileQuery {
    FileQuery::text(format!("{}/preprocessed_configs/users.xml", settings.data_dir)).masking(&MASKS)
}

pub(crate) fn directory(path: &str) -> FileQuery {
    FileQuery::meta(path)
}

/// A file under config.d.
pub(crate) fn config_file(settings: &Settings, name: &str) -> FileQuery {
    FileQuery::text(settings.config_file(name)).masking(&MASKS)
}

/// The files under config.d that are ours.
pub(crate) const CONFIG_FILES: [&str; 4] = ["clusters", "macros", "keeper", "settings"];

fn config_files(settings: &Settings) -> Vec<FileQuery> {
    CONFIG_FILES
        .iter()
        .map(|name| config_file(settings, name))
        .collect()
}

/// The file of our users, where we have one.
pub(crate) fn users_file(settings: &Settings) -> Option<FileQuery> {
    let query = FileQuery::text(settings.users_file()?).masking(&MASKS);
    Some(query.knowing_in(Encoding::Cdata, &settings.password))
}

/// Where Keeper keeps its log: it is there once Keeper has run.
pub(crate) fn keeper_log(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/coordination/log", settings.data_dir))
}

/// zoo.cfg.
pub(crate) fn zoo_cfg(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/zoo.cfg", settings.config_dir))
}

/// Where the member's number stands: Debian's package links it from the data directory into its configuration.
pub(crate) fn myid(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/myid", settings.config_dir))
}

/// Where the server looks for its number.
pub(crate) fn data_myid(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/myid", settings.data_dir))
}

/// What Debian's init script reads last of all: the heap is set there, for the file is one line and may be made anew.
pub(crate) fn environment(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(&settings.environment)
}

/// The number of the last election that the member took part in; 0 where it never was in a quorum.
pub(crate) fn epoch(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/version-2/currentEpoch", settings.data_dir))
}

fn zookeeper_files(settings: &ZooKeeper) -> Vec<FileQuery> {
    vec![
        zoo_cfg(settings),
        myid(settings),
        data_myid(settings),
        environment(settings),
        epoch(settings),
    ]
}

/// Where a host's server may be found, and as whom, the best first: as our user, where we have one, and as `default`,
/// who is there before ours is.
pub(crate) fn endpoints(settings: &Settings, host: &HostName) -> Vec<HttpEndpoint> {
    let ours = settings.password.as_ref().map(|password| HttpAccount {
        user: settings.user.clone(),
        password: Some(password.clone()),
    });
    let mut accounts = vec![None];
    if ours.is_some() {
        accounts.insert(0, ours);
    }
    let mut endpoints = Vec::new();
    for address in settings.local_addresses(host) {
        for account in &accounts {
            endpoints.push(HttpEndpoint {
                address: address.clone(),
                port: settings.http_port,
                account: account.clone(),
            });
        }
    }
    endpoints
}

/// A question in SQL.
pub(crate) fn select(at: &HttpEndpoint, sql: &str) -> HttpQuery {
    HttpQuery {
        at: at.clone(),
        request: HttpRequest::post("/", Text::new(sql)),
        limit_ms: LIMIT,
    }
}

/// Version, cluster and macros as the server has them now: a row each, with its subject first.
pub(crate) fn state(settings: &Settings, at: &HttpEndpoint) -> HttpQuery {
    let cluster = &settings.cluster;
    select(
        at,
        &format!(
            "SELECT 'version', version(), '', '' \
             UNION ALL SELECT 'replica', host_name, toString(port), toString(shard_num) \
             FROM system.clusters WHERE cluster = '{cluster}' \
             UNION ALL SELECT 'macro', macro, substitution, '' FROM system.macros \
             UNION ALL SELECT 'check', name, '', '' FROM system.tables \
             WHERE database = 'default' AND name = '{CHECK_TABLE}' FORMAT TabSeparated"
        ),
    )
}

/// The replicated tables.
pub(crate) fn replicas(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT database, table, is_readonly, is_session_expired, total_replicas, active_replicas, absolute_delay, \
         queue_size, zookeeper_path, replica_name FROM system.replicas ORDER BY database, table FORMAT TabSeparated",
    )
}

/// Which replicas the quorum has on its books of the tables of this server: by path, a name a row. Older servers refuse
/// such a question (18.16: error 36).
pub(crate) fn registered(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT path, name FROM system.zookeeper WHERE path IN \
         (SELECT concat(zookeeper_path, '/replicas') FROM system.replicas) FORMAT TabSeparated",
    )
}

/// Whether the server reaches the quorum: it looks at the root of the common tree, and begins a new session where the old
/// one is over, which happens to all of them when ZooKeeper restarts.
pub(crate) fn session(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT count() > 0 FROM system.zookeeper WHERE path = '/' FORMAT TabSeparated",
    )
}

/// What a host asks members of the quorum: its own one, or all of somebody else's, as far as it reaches them.
pub(crate) fn words(settings: &Settings, host: &HostName) -> Vec<WordsQuery> {
    let ask = |address: &str, port: u16, words: &[&str]| WordsQuery {
        address: address.to_owned(),
        port,
        words: words.iter().map(|&word| word.to_owned()).collect(),
    };
    match &settings.coordination {
        Coordination::Keeper(keeper) => settings
            .local_addresses(host)
            .iter()
            .map(|address| ask(address, keeper.port, &["srvr", "mntr"]))
            .collect(),
        Coordination::ZooKeeper(zookeeper) => {
            debug_assert!(
                ["srvr", "mntr", "conf"]
                    .iter()
                    .all(|word| zoo::WORDS.contains(word))
            );
            vec![ask("127.0.0.1", zookeeper.port, &["srvr", "mntr", "conf"])]
        }
        Coordination::Named(nodes) => nodes
            .iter()
            .map(|(name, port)| ask(name, *port, &["srvr", "mntr"]))
            .collect(),
    }
}
