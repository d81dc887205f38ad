//! Databases and collections.

use std::collections::BTreeMap;

use bson::{Document, doc};

use crate::mongod::errors::{Code, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::oplog::Op;
use crate::mongod::query::truthy;
use crate::mongod::repl::MemberState;
use crate::mongod::rights::{Exception, Need, may};

use super::concern::{await_write, require_primary};
use super::crud;
use super::session::Session;

async fn change(
    node: &Node,
    database: &str,
    command: &Document,
    object: Document,
    mut reply: Document,
) -> Reply {
    let at = {
        let state = &mut *node.lock();
        node.write(state, &Op::new("c", format!("{database}.$cmd"), object))?
    };
    await_write(node, command, at, &mut reply).await;
    Ok(reply)
}

fn check(node: &Node, database: &str, is_met: impl FnOnce(&State) -> bool, code: Code, why: &str) -> Reply {
    let state = node.lock();
    require_primary(node, &state, database)?;
    if is_met(&state) {
        Ok(doc! {})
    } else {
        fail(code, why)
    }
}

/// `create`.
pub(super) async fn create(node: &Node, database: &str, command: &Document) -> Reply {
    let name = command.get_str("create").unwrap_or_default();
    let namespace = format!("{database}.{name}");
    let why = format!("Collection {namespace} already exists.");
    check(
        node,
        database,
        |state| !state.store.has(&namespace),
        Code::NamespaceExists,
        &why,
    )?;
    change(node, database, command, doc! {"create": name}, doc! {}).await
}

/// `drop`.
pub(super) async fn drop_collection(node: &Node, database: &str, command: &Document) -> Reply {
    let name = command.get_str("drop").unwrap_or_default();
    let namespace = format!("{database}.{name}");
    check(
        node,
        database,
        |state| state.store.has(&namespace),
        Code::NamespaceNotFound,
        "ns not found",
    )?;
    change(
        node,
        database,
        command,
        doc! {"drop": name},
        doc! {"ns": &namespace, "nIndexesWas": 1},
    )
    .await
}

/// `dropDatabase`.
pub(super) async fn drop_database(node: &Node, database: &str, command: &Document) -> Reply {
    check(node, database, |_| true, Code::InternalError, "")?;
    change(
        node,
        database,
        command,
        doc! {"dropDatabase": 1},
        doc! {"dropped": database},
    )
    .await
}

/// `listDatabases`: those that the client may read something in; with `authorizedDatabases: false` all, or an error. A
/// server that waits for its set's configuration, was removed from it or is an arbiter shows none to anybody (4.9).
pub(super) fn list_databases(node: &Node, session: &Session, command: &Document) -> Reply {
    let state = node.lock();
    let is_open = matches!(state.repl.state, MemberState::Primary | MemberState::Secondary);
    if node.options.repl_set.is_some() && !is_open {
        let why = "node is not in primary or recovering state";
        return fail(Code::NotPrimaryOrSecondary, why);
    }
    let mut sizes: BTreeMap<&str, i64> = BTreeMap::new();
    for namespace in state.store.namespaces() {
        let database = namespace.split('.').next().unwrap_or_default();
        *sizes.entry(database).or_default() += 4096;
    }
    sizes.entry("local").or_insert(4096);
    // Where a set keeps its sessions, from the first primary on.
    if node.options.repl_set.is_some() {
        sizes.entry("config").or_insert(4096);
    }
    let all = !node.options.auth || may(&session.users, &Need::Inspect, Exception::None);
    if !all && matches!(command.get_bool("authorizedDatabases"), Ok(false)) {
        return fail(
            Code::Unauthorized,
            "Insufficient permissions to list all databases",
        );
    }
    let names_only = truthy(command.get("nameOnly"));
    let seen = |name: &str| {
        all || may(
            &session.users,
            &Need::Read(name.into(), String::new()),
            Exception::None,
        )
    };
    let shown: Vec<_> = sizes
        .iter()
        .filter(|(name, _)| seen(name))
        .map(|(name, size)| {
            if names_only {
                doc! {"name": *name}
            } else {
                doc! {"name": *name, "sizeOnDisk": *size, "empty": false}
            }
        })
        .collect();
    if names_only {
        return Ok(doc! {"databases": shown});
    }
    let total: i64 = sizes.values().sum();
    Ok(doc! {"databases": shown, "totalSize": total, "totalSizeMb": total / 1_048_576})
}

/// `listCollections`.
pub(super) fn list_collections(node: &Node, database: &str) -> Document {
    let state = node.lock();
    let prefix = format!("{database}.");
    let mut names: Vec<&str> = state
        .store
        .namespaces()
        .filter_map(|name| name.strip_prefix(&prefix))
        .collect();
    if database == "local" && node.options.repl_set.is_some() {
        names.extend(["oplog.rs", "system.replset"]);
    }
    let shown = names
        .iter()
        .map(|name| doc! {"name": *name, "type": "collection", "options": {}})
        .collect();
    crud::cursor(&format!("{database}.$cmd.listCollections"), shown)
}
