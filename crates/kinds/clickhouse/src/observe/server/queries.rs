//! Queries about a host's ClickHouse server.

use protocol::facts::{
    CandidateQuery, CommandQuery, FileQuery, HttpAccount, HttpEndpoint, HttpQuery, HttpRequest, PackageQuery,
    THIS_HOST,
};
use protocol::{Encoding, Text};

use crate::settings::Settings;

/// Values of these elements do not leave the host.
const MASKS: [&str; 1] = [
    r"(?i)<(?:[a-z0-9_]*password[a-z0-9_]*|secret|key|access_key_id|secret_access_key)(?:\s[^>]*)?>\s*(?:<!\[CDATA\[)?(.+?)(?:\]\]>)?\s*</",
];
/// How long the server may take to answer, in milliseconds.
const LIMIT: u64 = 5_000;

/// The table that the round trip of distributed DDL makes and drops.
pub(crate) const CHECK_TABLE: &str = "clusterctl_check";
/// The table that a new replica has for as long as it lacks tables of the others, or their data: where a run dies, the next goes
/// on.
pub(crate) const JOINING_TABLE: &str = "clusterctl_joining";

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

/// The configuration as the server put it together when it last read its files
/// (<https://clickhouse.com/docs/operations/configuration-files>, "Implementation details").
pub(crate) fn merged_config(settings: &Settings) -> FileQuery {
    FileQuery::text(format!("{}/preprocessed_configs/config.xml", settings.data_dir)).masking(&MASKS)
}

/// The users as the server put them together when it last read them.
pub(crate) fn merged_users(settings: &Settings) -> FileQuery {
    FileQuery::text(format!("{}/preprocessed_configs/users.xml", settings.data_dir)).masking(&MASKS)
}

/// Whether the statements on disk make replicated tables, where the server does not run and cannot tell: grep ends with 0 where
/// they do, and with 1 where not. A database of the engine Atomic is a link (`DatabaseAtomic::tryCreateMetadataSymlink`).
pub(crate) fn tables_on_disk(settings: &Settings) -> CommandQuery {
    let metadata = format!("{}/metadata", settings.data_dir);
    let argv = [
        "grep",
        "--dereference-recursive",
        "--quiet",
        "--include=*.sql",
        "--exclude=clusterctl_*",
        "ENGINE = Replicated",
        &metadata,
    ];
    CommandQuery {
        argv: argv.map(str::to_owned).to_vec(),
        limit_ms: LIMIT,
    }
}

pub(crate) fn directory(path: &str) -> FileQuery {
    FileQuery::meta(path)
}

/// A file under config.d.
pub(crate) fn config_file(settings: &Settings, name: &str) -> FileQuery {
    FileQuery::text(settings.config_file(name)).masking(&MASKS)
}

/// The files under config.d that are managed.
const CONFIG_FILES: [&str; 4] = ["clusters", "macros", "keeper", "settings"];

pub(crate) fn config_files(settings: &Settings) -> Vec<FileQuery> {
    CONFIG_FILES
        .iter()
        .map(|name| config_file(settings, name))
        .collect()
}

/// The file of the managed users, where there are any.
pub(crate) fn users_file(settings: &Settings) -> Option<FileQuery> {
    let query = FileQuery::text(settings.users_file()?).masking(&MASKS);
    Some(query.knowing_in(Encoding::Cdata, &settings.password))
}

/// A host's server, wherever it listens, and the accounts to log in with, the best first: the application's user, where it
/// has a password, and `default`, which exists before that user does.
pub(crate) fn endpoints(settings: &Settings) -> Vec<HttpEndpoint> {
    let ours = settings.password.as_ref().map(|password| HttpAccount {
        user: settings.user.clone(),
        password: Some(password.clone()),
    });
    let mut accounts = vec![None];
    if ours.is_some() {
        accounts.insert(0, ours);
    }
    let endpoint = |account| HttpEndpoint {
        address: THIS_HOST.to_owned(),
        port: settings.http_port,
        account,
    };
    accounts.into_iter().map(endpoint).collect()
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
             WHERE database = 'default' AND name IN ('{CHECK_TABLE}', '{JOINING_TABLE}') FORMAT TabSeparated"
        ),
    )
}

/// The replicated tables, but for [`CHECK_TABLE`].
pub(crate) fn replicas(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT database, table, is_readonly, is_session_expired, total_replicas, active_replicas, absolute_delay, \
         queue_size, zookeeper_path, replica_name FROM system.replicas \
         WHERE NOT (database = 'default' AND table = 'clusterctl_check') ORDER BY database, table FORMAT TabSeparated",
    )
}

/// The engines of the replicated tables, with the macros as they were written.
pub(crate) fn engines(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT database, name, engine_full FROM system.tables WHERE engine LIKE 'Replicated%' FORMAT TabSeparated",
    )
}

/// The replicas that are registered in the quorum for the tables of this server: by path, a name a row. Older servers refuse
/// such a question (18.16: error 36).
pub(crate) fn registered(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT path, name FROM system.zookeeper WHERE path IN \
         (SELECT concat(zookeeper_path, '/replicas') FROM system.replicas) FORMAT TabSeparated",
    )
}

/// Whether the server reaches the quorum: it reads the root of the common tree, and opens a new session where the old one
/// is over, which happens to all of them when ZooKeeper restarts.
pub(crate) fn session(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT count() > 0 FROM system.zookeeper WHERE path = '/' FORMAT TabSeparated",
    )
}

/// Tables that hold something and are on this server alone.
pub(crate) fn local_tables(at: &HttpEndpoint) -> HttpQuery {
    select(
        at,
        "SELECT concat(database, '.', name) FROM system.tables WHERE database != 'system' AND \
         (engine LIKE '%MergeTree' OR engine LIKE '%Log') AND engine NOT LIKE 'Replicated%' FORMAT TabSeparated",
    )
}

/// The databases and tables, with the statements that make them again: with the tables' UUIDs, or, for servers that know no
/// such setting (18.16: error 115), without. A statement that may have a password in it stays on the host, as do those of
/// engines that fetch from elsewhere.
pub(crate) fn schema(at: &HttpEndpoint, with_uuids: bool) -> HttpQuery {
    let uuids = if with_uuids {
        " SETTINGS show_table_uuid_in_table_create_query_if_not_nil = 1"
    } else {
        ""
    };
    select(
        at,
        &format!(
            "SELECT 'database', name, '', engine, '' FROM system.databases WHERE {} \
             UNION ALL SELECT 'table', database, name, engine, if(match(engine, '{COPIED}') \
             AND NOT match(lower(create_table_query), '{SECRET}'), create_table_query, '') \
             FROM system.tables WHERE {} AND NOT is_temporary AND NOT match(name, '^[.]inner') \
             AND NOT (database = 'default' AND name IN ('{CHECK_TABLE}', '{JOINING_TABLE}')){uuids} FORMAT TabSeparated",
            of_users("name"),
            of_users("database")
        ),
    )
}

/// Engines whose tables hold their own data, or show that of other tables of the cluster.
const COPIED: &str =
    "^(.*MergeTree|Distributed|Merge|Buffer|Null|Set|Join|Memory|.*Log|View|MaterializedView)$";
/// What a statement with a password has in it: the word, or a function of which it may be an argument.
const SECRET: &str = "password|secret|access_key|[[]hidden[]]|(^|[^a-z0-9_])(mysql|postgresql|mongodb|redis|remote|s3|gcs|\
                      cosn|oss|azure|url|jdbc|odbc|deltalake|iceberg|hudi)[a-z0-9_]*[(]";

/// The databases that are not the server's own.
fn of_users(column: &str) -> String {
    format!("{column} NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')")
}

/// How many replicas a table has, and how many of them are active.
pub(crate) fn count(at: &HttpEndpoint, (database, table): &(String, String)) -> HttpQuery {
    select(
        at,
        &format!(
            "SELECT total_replicas, active_replicas FROM system.replicas WHERE database = '{}' AND table = '{}' \
             FORMAT TabSeparated",
            quote(database),
            quote(table)
        ),
    )
}

/// A text within single quotes of SQL.
pub(crate) fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
