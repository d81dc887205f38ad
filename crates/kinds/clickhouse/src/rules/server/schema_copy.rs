//! The statements that give a server the databases and tables which others have alike.

use std::collections::{BTreeMap, BTreeSet};

use protocol::facts::HttpRequest;
use types::HostName;

use crate::observe::server::queries::JOINING_TABLE;
use crate::observe::server::replies::Live;
use crate::observe::server::schema::{Schema, full_name};

/// How databases and tables are made on a server that lacks them.
pub(crate) struct SchemaCopy {
    /// The requests, in order; none where it lacks none.
    pub(crate) requests: Vec<HttpRequest>,
    /// How many tables and views they make.
    pub(crate) tables: usize,
    /// Those that hold no replicated data, and that an operator has to make.
    pub(crate) by_hand: Vec<String>,
}

/// The databases and tables that all of these servers have alike.
pub(super) fn common(sources: &[(&HostName, &Live)]) -> Result<Schema, String> {
    let paths = |live: &Live| -> BTreeSet<String> {
        let tables = live.replicas.iter().flatten();
        tables.map(|table| table.path.clone()).collect()
    };
    let mut all: Option<(&HostName, BTreeSet<String>, Schema)> = None;
    for (host, live) in sources {
        let schema = live.schema.clone();
        let schema = schema.map_err(|why| format!("the tables of {host} are not known: {why}"))?;
        all = Some(match all {
            None => (host, paths(live), schema),
            Some((first, known, found)) => {
                if known != paths(live) {
                    return Err(format!("{first} and {host} have different replicated tables"));
                }
                let found = shared(&found, &schema).map_err(|why| format!("{why} on {first} and {host}"))?;
                (first, known, found)
            }
        });
    }
    all.map(|(.., schema)| schema).ok_or_else(String::new)
}

/// What two servers have alike.
fn shared(one: &Schema, other: &Schema) -> Result<Schema, String> {
    let mut shared = Schema::default();
    for (name, table) in &one.tables {
        let Some(theirs) = other.tables.get(name) else {
            continue;
        };
        let same = table.shared(theirs);
        if same.is_none() && table.is_replicated() {
            return Err(format!("{} is made differently", full_name(name)));
        }
        shared
            .tables
            .insert(name.clone(), same.unwrap_or_else(|| table.without_statement()));
    }
    let databases = one
        .databases
        .iter()
        .filter(|(name, engine)| other.databases.get(*name) == Some(engine));
    shared.databases = databases
        .map(|(name, engine)| (name.clone(), engine.clone()))
        .collect();
    Ok(shared)
}

impl SchemaCopy {
    /// Makes what a server does not have of its own.
    pub(super) fn new(common: &Schema, own: &Schema, version: Option<(u32, u32)>) -> Result<Self, String> {
        let mut statements: BTreeMap<&(String, String), String> = BTreeMap::new();
        let mut by_hand = Vec::new();
        for (name, table) in common
            .tables
            .iter()
            .filter(|(name, _)| !own.tables.contains_key(*name))
        {
            let is_made = own.databases.contains_key(&name.0)
                || common
                    .databases
                    .get(&name.0)
                    .is_some_and(|engine| is_plain(engine));
            match table.idempotent().filter(|_| is_made) {
                Some(statement) => {
                    statements.insert(name, statement);
                }
                None if table.is_replicated() => {
                    let name = full_name(name);
                    return Err(format!("{name} has a statement or a database that is not copied"));
                }
                None => by_hand.push(full_name(name)),
            }
        }
        let databases = common.databases.iter();
        let databases =
            databases.filter(|(name, engine)| !own.databases.contains_key(*name) && is_plain(engine));
        let mut requests: Vec<HttpRequest> = databases
            .map(|(name, engine)| make_database(name, engine, version))
            .collect();
        let tables = statements.len();
        requests.extend(
            in_order(statements)
                .into_iter()
                .map(|statement| HttpRequest::post("/", statement)),
        );
        if !requests.is_empty() {
            let mark =
                format!("CREATE TABLE IF NOT EXISTS default.{JOINING_TABLE} (n UInt8) ENGINE = Memory");
            requests.insert(0, HttpRequest::post("/", mark));
        }
        Ok(Self {
            requests,
            tables,
            by_hand,
        })
    }
}

/// Whether a database is one that keeps its tables by itself, and nothing else.
fn is_plain(engine: &str) -> bool {
    matches!(engine, "Atomic" | "Ordinary")
}

/// From 22.7 on, a database of the engine Ordinary is made where that is asked for.
fn make_database(name: &str, engine: &str, version: Option<(u32, u32)>) -> HttpRequest {
    let is_late = version.is_some_and(|version| version >= (22, 7));
    let path = if engine == "Ordinary" && is_late {
        "/?allow_deprecated_database_ordinary=1"
    } else {
        "/"
    };
    let name = name.replace('\\', "\\\\").replace('`', "\\`");
    HttpRequest::post(
        path,
        format!("CREATE DATABASE IF NOT EXISTS `{name}` ENGINE = {engine}"),
    )
}

/// The statements, each after those of the tables that it names: a view is not made before what it selects from.
fn in_order(mut left: BTreeMap<&(String, String), String>) -> Vec<String> {
    let mut done = Vec::new();
    while !left.is_empty() {
        let waits = |(name, statement): &(&&(String, String), &String)| {
            left.keys().any(|other| other != *name && names(statement, other))
        };
        // Those that name each other are sent in any order, and the server says what it lacks.
        let ready = left
            .iter()
            .find(|entry| !waits(entry))
            .or_else(|| left.iter().next());
        let Some(name) = ready.map(|(name, _)| *name) else {
            break;
        };
        done.extend(left.remove(name));
    }
    done
}

/// Whether a statement names a table. The server writes names with their database, and in backquotes where they need them.
fn names(statement: &str, (database, table): &(String, String)) -> bool {
    let plain = format!("{database}.{table}");
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_.`".contains(c);
    let bare = statement.replace('`', "");
    let mut found = bare.match_indices(&plain);
    found.any(|(at, _)| {
        let (before, after) = (bare.get(..at), bare.get(at + plain.len()..));
        let before = before.and_then(|text| text.chars().next_back());
        let after = after.and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(rows: &[[&str; 5]]) -> Schema {
        Schema::read(rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect())
    }

    /// As 18.16 told of them, in another order. A view is refused there before what it selects from exists (error 60).
    #[test]
    fn tables_are_made_after_those_that_they_name() {
        let found = schema(&[
            [
                "table",
                "shop",
                "a_view",
                "View",
                "CREATE VIEW shop.a_view ( id UInt64) AS SELECT id FROM shop.z_view ",
            ],
            [
                "table",
                "shop",
                "z_view",
                "View",
                "CREATE VIEW shop.z_view ( id UInt64) AS SELECT id FROM shop.orders ",
            ],
            [
                "table",
                "shop",
                "orders",
                "ReplicatedMergeTree",
                "CREATE TABLE shop.orders ( d Date,  id UInt64) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/shop/\
                 orders', '{replica}') PARTITION BY toYYYYMM(d) ORDER BY id SETTINGS index_granularity = 8192",
            ],
            ["table", "shop", "outside", "MySQL", ""],
            ["database", "shop", "", "Ordinary", ""],
        ]);
        let lacking = SchemaCopy::new(&found, &Schema::default(), Some((18, 16))).unwrap();
        let sent: Vec<&str> = lacking
            .requests
            .iter()
            .map(|request| request.body.as_str())
            .collect();
        let begins = [
            "CREATE TABLE IF NOT EXISTS default.clusterctl_joining",
            "CREATE DATABASE IF NOT EXISTS `shop` ENGINE = Ordinary",
            "CREATE TABLE IF NOT EXISTS shop.orders ( d Date",
            "CREATE VIEW IF NOT EXISTS shop.z_view",
            "CREATE VIEW IF NOT EXISTS shop.a_view",
        ];
        assert_eq!(sent.len(), begins.len(), "{sent:?}");
        for (sent, begin) in sent.iter().zip(begins) {
            assert!(sent.starts_with(begin), "{sent}");
        }
        assert_eq!(lacking.by_hand, ["shop.outside"]);
    }

    /// A table that each server made by itself has a UUID of its own; in a path, the UUID is what replicas have in common.
    #[test]
    fn members_agree_where_their_statements_do() {
        let one = |uuid: &str, path: &str| {
            let statement = format!(
                "CREATE TABLE default.t UUID '{uuid}' (`n` UInt8) ENGINE = ReplicatedMergeTree('{path}', '{{replica}}') ORDER BY n"
            );
            schema(&[["table", "default", "t", "ReplicatedMergeTree", &statement]])
        };
        let statement = |shared: &Schema| {
            let table = shared.tables.values().next().unwrap();
            table.idempotent().unwrap()
        };
        let same = shared(&one("a", "/t/{uuid}"), &one("a", "/t/{uuid}")).unwrap();
        assert!(statement(&same).contains(" UUID 'a' "));
        let own = shared(&one("a", "/t/1"), &one("b", "/t/1")).unwrap();
        assert!(!statement(&own).contains("UUID"));
        assert!(shared(&one("a", "/t/{uuid}"), &one("b", "/t/{uuid}")).is_err());
        assert!(shared(&one("a", "/t/1"), &one("a", "/t/2")).is_err());
    }
}
