//! Reading and writing documents.

use bson::{Bson, Document, doc};

use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::oplog::Op;
use crate::mongod::optime::OpTime;
use crate::mongod::query::{self, truthy, whole};
use crate::mongod::repl::MemberState;
use crate::mongod::sync;

use super::concern::{await_write, label, require_primary};
use super::hello;

/// What a batch of writes comes to.
#[derive(Default)]
struct Batch {
    n: i32,
    modified: i32,
    errors: Vec<Document>,
    upserted: Vec<Document>,
    at: Option<OpTime>,
}

/// One write of a batch: what to do, and how many documents it is about.
type Planned = (Vec<Op>, i32, Option<Bson>);

async fn batch(
    node: &Node,
    database: &str,
    command: &Document,
    list: &str,
    plan: impl Fn(&State, &str, &Document) -> Result<Planned, CommandError>,
) -> Reply {
    let name = command.keys().next().map(String::as_str).unwrap_or_default();
    let namespace = format!("{database}.{}", command.get_str(name).unwrap_or_default());
    let items = command.get_array(list).map(Vec::as_slice).unwrap_or_default();
    let ordered = command.get_bool("ordered").unwrap_or(true);
    let mut done = Batch::default();
    {
        let state = &mut *node.lock();
        if let Err(mut error) = require_primary(node, state, database) {
            let mut extra = Document::new();
            label(command, error.code, &mut extra);
            error.extra.extend(extra);
            return Err(error);
        }
        for (index, item) in items.iter().filter_map(Bson::as_document).enumerate() {
            let index = i32::try_from(index).unwrap_or(i32::MAX);
            if let Err(error) = one(node, state, command, &namespace, item, index, &plan, &mut done) {
                let mut shown = doc! {"index": index, "code": error.code as i32, "errmsg": &error.message};
                shown.extend(error.extra);
                done.errors.push(shown);
                if ordered {
                    break;
                }
            }
        }
        // Even a batch that changed nothing speaks of a state that the majority must have.
        done.at.get_or_insert(state.oplog.last());
    }
    let mut reply = doc! {"n": done.n};
    if name == "update" {
        reply.insert("nModified", done.modified);
    }
    for (key, list) in [("upserted", done.upserted), ("writeErrors", done.errors)] {
        if !list.is_empty() {
            reply.insert(key, list);
        }
    }
    await_write(node, command, done.at.unwrap_or(OpTime::NULL), &mut reply).await;
    reply.extend(hello::election_id(&node.lock()).map(|id| ("electionId".to_owned(), id.into())));
    Ok(reply)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one loop body of all three kinds of writes"
)]
fn one(
    node: &Node,
    state: &mut State,
    command: &Document,
    namespace: &str,
    item: &Document,
    index: i32,
    plan: &impl Fn(&State, &str, &Document) -> Result<Planned, CommandError>,
    done: &mut Batch,
) -> Result<(), CommandError> {
    let session = session(command, index);
    if session
        .as_ref()
        .is_some_and(|session| state.store.is_done(session))
    {
        done.n += 1;
        return Ok(());
    }
    let (mut ops, matched, upserted) = plan(state, namespace, item)?;
    if let (Some(first), Some(session)) = (ops.first_mut(), session) {
        first.session = Some(session);
    }
    done.modified += if upserted.is_some() {
        0
    } else {
        i32::try_from(ops.len()).unwrap_or(i32::MAX)
    };
    for op in ops {
        done.at = Some(node.write(state, &op)?);
    }
    done.n += matched;
    done.upserted
        .extend(upserted.map(|id| doc! {"index": index, "_id": id}));
    Ok(())
}

/// The session, transaction and statement of a write that its client may send again.
fn session(command: &Document, index: i32) -> Option<(Bson, i64, i32)> {
    let id = command.get_document("lsid").ok()?.get("id")?.clone();
    Some((id, command.get_i64("txnNumber").ok()?, index))
}

/// `insert`.
pub(super) async fn insert(node: &Node, database: &str, command: &Document) -> Reply {
    batch(
        node,
        database,
        command,
        "documents",
        |state, namespace, document| {
            let mut document = document.clone();
            if !document.contains_key("_id") {
                document.insert("_id", bson::oid::ObjectId::new());
            }
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            if state.store.get(namespace, &id).is_some() {
                return Err(duplicate(namespace, &id));
            }
            Ok((vec![Op::new("i", namespace, document)], 1, None))
        },
    )
    .await
}

fn duplicate(namespace: &str, id: &Bson) -> CommandError {
    let message =
        format!("E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {id} }}");
    CommandError::new(Code::DuplicateKey, message)
        .with("keyPattern", doc! {"_id": 1})
        .with("keyValue", doc! {"_id": id.clone()})
}

/// `update`.
pub(super) async fn update(node: &Node, database: &str, command: &Document) -> Reply {
    batch(node, database, command, "updates", |state, namespace, item| {
        let filter = item.get_document("q").cloned().unwrap_or_default();
        let Ok(change) = item.get_document("u") else {
            return fail(Code::FailedToParse, "pipelines are not stood in for");
        };
        let mut found = state.store.find(namespace, &filter)?;
        if !truthy(item.get("multi")) {
            found.truncate(1);
        }
        if found.is_empty() && truthy(item.get("upsert")) {
            let plain = filter
                .into_iter()
                .filter(|(key, value)| !key.starts_with('$') && value.as_document().is_none());
            let mut new = query::update(&plain.collect(), change, true)?;
            let id = new
                .entry("_id")
                .or_insert(bson::oid::ObjectId::new().into())
                .clone();
            return Ok((vec![Op::new("i", namespace, new)], 1, Some(id)));
        }
        let matched = i32::try_from(found.len()).unwrap_or(i32::MAX);
        let mut ops = Vec::new();
        for document in found {
            let new = query::update(&document, change, false)?;
            if new != document {
                ops.push(Op::replace(
                    namespace,
                    document.get("_id").cloned().unwrap_or(Bson::Null),
                    new,
                ));
            }
        }
        Ok((ops, matched, None))
    })
    .await
}

/// `delete`.
pub(super) async fn delete(node: &Node, database: &str, command: &Document) -> Reply {
    batch(node, database, command, "deletes", |state, namespace, item| {
        let filter = item.get_document("q").cloned().unwrap_or_default();
        let mut found = state.store.find(namespace, &filter)?;
        if item.get("limit").and_then(whole) == Some(1) {
            found.truncate(1);
        }
        let id = |document: &Document| document.get("_id").cloned().unwrap_or(Bson::Null);
        let ops: Vec<_> = found
            .iter()
            .map(|document| Op::new("d", namespace, doc! {"_id": id(document)}))
            .collect();
        let count = i32::try_from(ops.len()).unwrap_or(i32::MAX);
        Ok((ops, count, None))
    })
    .await
}

/// Refuses a read where the server's state or the client's preference forbids it.
fn require_readable(
    node: &Node,
    state: &State,
    database: &str,
    command: &Document,
) -> Result<(), CommandError> {
    if node.options.repl_set.is_none() || database == "local" || state.repl.state == MemberState::Primary {
        return Ok(());
    }
    let mode = command
        .get_document("$readPreference")
        .ok()
        .and_then(|preference| preference.get_str("mode").ok());
    if matches!(mode, None | Some("primary")) {
        return fail(Code::NotPrimaryNoSecondaryOk, "not primary and secondaryOk=false");
    }
    if state.repl.state != MemberState::Secondary {
        return fail(
            Code::NotPrimaryOrSecondary,
            "node is not in primary or recovering state",
        );
    }
    Ok(())
}

fn read(
    node: &Node,
    database: &str,
    collection: &str,
    command: &Document,
    filter: &Document,
) -> Result<Vec<Document>, CommandError> {
    let state = node.lock();
    require_readable(node, &state, database, command)?;
    let keep = |all: Vec<Document>| -> Result<Vec<Document>, CommandError> {
        let mut kept = Vec::new();
        for document in all {
            if query::matches(filter, &document)? {
                kept.push(document);
            }
        }
        Ok(kept)
    };
    match (database, collection) {
        ("local", "oplog.rs") => {
            let entries = &state.oplog.entries()[sync::window_start(&state)..];
            keep(entries.iter().map(|entry| entry.document.clone()).collect())
        }
        ("local", "system.replset") => keep(
            state
                .repl
                .config
                .iter()
                .map(|config| config.document.clone())
                .collect(),
        ),
        _ => state.store.find(&format!("{database}.{collection}"), filter),
    }
}

/// `find`: all in one batch, so that no cursor is left.
pub(super) fn find(node: &Node, database: &str, command: &Document) -> Reply {
    let collection = command.get_str("find").unwrap_or_default();
    let filter = command.get_document("filter").cloned().unwrap_or_default();
    let mut found = read(node, database, collection, command, &filter)?;
    if let Ok(sort) = command.get_document("sort") {
        match sort.get("$natural").and_then(whole) {
            Some(direction) if direction < 0 => found.reverse(),
            Some(_) => {}
            None => found.sort_by(|a, b| query::sorted(sort, a, b)),
        }
    }
    let amount = |key: &str| {
        command
            .get(key)
            .and_then(whole)
            .map(|n| usize::try_from(n.unsigned_abs()).unwrap_or(0))
    };
    let limit = amount("limit").filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let fields = command.get_document("projection").cloned().unwrap_or_default();
    let found = found.into_iter().skip(amount("skip").unwrap_or(0)).take(limit);
    Ok(cursor(
        &format!("{database}.{collection}"),
        found.map(|document| project(document, &fields)).collect(),
    ))
}

/// A cursor's first and only batch.
pub(super) fn cursor(namespace: &str, documents: Vec<Document>) -> Document {
    doc! {"cursor": {"firstBatch": documents, "id": 0_i64, "ns": namespace}}
}

fn project(document: Document, fields: &Document) -> Document {
    let wanted = |key: &str| fields.get(key).map(|flag| truthy(Some(flag)));
    let including = fields
        .iter()
        .any(|(key, flag)| key != "_id" && truthy(Some(flag)));
    let keeps = |key: &str| wanted(key).unwrap_or(!including || key == "_id");
    document.into_iter().filter(|(key, _)| keeps(key)).collect()
}

/// `count`.
pub(super) fn count(node: &Node, database: &str, command: &Document) -> Reply {
    let filter = command.get_document("query").cloned().unwrap_or_default();
    let found = read(
        node,
        database,
        command.get_str("count").unwrap_or_default(),
        command,
        &filter,
    )?;
    Ok(doc! {"n": i32::try_from(found.len()).unwrap_or(i32::MAX)})
}

/// `aggregate`, for what drivers make of counting: `$match`, `$skip`, `$limit`, and `$group` with a sum of ones.
pub(super) fn aggregate(node: &Node, database: &str, command: &Document) -> Reply {
    let collection = command.get_str("aggregate").unwrap_or_default();
    let mut found = read(node, database, collection, command, &doc! {})?;
    for stage in command
        .get_array("pipeline")
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        let Some((name, operand)) = stage.as_document().and_then(|stage| stage.iter().next()) else {
            continue;
        };
        let amount = whole(operand).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        match (name.as_str(), operand) {
            ("$match", Bson::Document(filter)) => {
                let mut kept = Vec::new();
                for document in found {
                    if query::matches(filter, &document)? {
                        kept.push(document);
                    }
                }
                found = kept;
            }
            ("$skip", _) => drop(found.drain(..amount.min(found.len()))),
            ("$limit", _) => found.truncate(amount),
            ("$group", Bson::Document(group)) if !found.is_empty() => {
                let total = i32::try_from(found.len()).unwrap_or(i32::MAX);
                let field = group
                    .keys()
                    .find(|key| *key != "_id")
                    .cloned()
                    .unwrap_or("n".into());
                found = vec![doc! {"_id": group.get("_id").cloned().unwrap_or(Bson::Null), field: total}];
            }
            ("$group", _) => {}
            (name, _) => return fail(Code::CommandFailed, format!("{name} is not stood in for")),
        }
    }
    Ok(cursor(&format!("{database}.{collection}"), found))
}
