//! Write concerns: how many members must have a write on disk before the client hears of it.

use std::time::Duration;

use bson::{Bson, Document, doc};

use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::oplog::Op;
use crate::mongod::optime::OpTime;
use crate::mongod::query::whole;
use crate::mongod::repl::MemberState;
use crate::mongod::setconfig::SetConfig;
use crate::mongod::store::SETTINGS;

const DEFAULTS_ID: &str = "ReadWriteConcernDefaults";

/// How many members a write waits for.
enum Wanted {
    Majority,
    Members(usize),
}

/// The cluster-wide default that somebody set.
pub(super) fn set_by_hand(state: &State) -> Option<Document> {
    settings(state)?.get_document("defaultWriteConcern").ok().cloned()
}

fn settings(state: &State) -> Option<&Document> {
    state.store.get(SETTINGS, &DEFAULTS_ID.into())
}

/// Whether writes wait for the majority where nobody says anything else; before 5.0 they never do.
fn implicit_majority(node: &Node, config: Option<&SetConfig>) -> bool {
    node.options.release() >= (5, 0) && config.is_none_or(SetConfig::implicit_majority)
}

/// What `getDefaultRWConcern` tells; before 5.0 it does not say where a default comes from.
pub(super) fn get_default(node: &Node) -> Document {
    let state = node.lock();
    let mut reply = Document::new();
    let set = set_by_hand(&state);
    if node.options.release() >= (5, 0) {
        reply.extend(doc! {
            "defaultReadConcern": {"level": "local"}, "defaultReadConcernSource": "implicit",
            "defaultWriteConcernSource": if set.is_some() { "global" } else { "implicit" },
        });
    }
    if let Some(write) = set {
        reply.insert("defaultWriteConcern", write);
    } else if implicit_majority(node, state.repl.config.as_ref()) {
        reply.insert("defaultWriteConcern", doc! {"w": "majority", "wtimeout": 0});
    }
    for key in ["updateOpTime", "updateWallClockTime"] {
        reply.extend(settings(&state).and_then(|set| Some((key.to_owned(), set.get(key)?.clone()))));
    }
    reply.insert("localUpdateWallClockTime", bson::DateTime::now());
    reply
}

/// `setDefaultRWConcern`.
pub(super) async fn set_default(node: &Node, command: &Document) -> Reply {
    let at = {
        let state = &mut *node.lock();
        require_primary(node, state, "config")?;
        let mut document = settings(state).cloned().unwrap_or_default();
        for key in ["defaultWriteConcern", "defaultReadConcern"] {
            if let Ok(value) = command.get_document(key) {
                document.insert(key, value.clone());
            }
        }
        if document.is_empty() {
            return fail(
                Code::BadValue,
                "At least one of defaultReadConcern or defaultWriteConcern must be present",
            );
        }
        document.insert("_id", DEFAULTS_ID);
        document.insert("updateOpTime", state.oplog.last().timestamp());
        document.insert("updateWallClockTime", bson::DateTime::now());
        node.write(state, &Op::replace(SETTINGS, DEFAULTS_ID.into(), document))?
    };
    await_majority(node, at, command).await?;
    Ok(get_default(node))
}

/// Refuses a write on a server that takes none.
pub(super) fn require_primary(node: &Node, state: &State, database: &str) -> Result<(), CommandError> {
    if state.stopping {
        return fail(
            Code::ShutdownInProgress,
            "The server is in quiesce mode and will shut down",
        );
    }
    if node.options.repl_set.is_none() || state.repl.state == MemberState::Primary || database == "local" {
        return Ok(());
    }
    let word = if node.options.release() < (5, 0) {
        "not master"
    } else {
        "not primary"
    };
    fail(Code::NotWritablePrimary, word)
}

/// Waits as long as the command's write concern wants it; adds the `writeConcernError` where that fails.
pub(super) async fn await_write(node: &Node, command: &Document, at: OpTime, reply: &mut Document) {
    if let Err(error) = try_await(node, command, at).await {
        reply.insert(
            "writeConcernError",
            doc! {
                "code": error.code as i32, "codeName": format!("{:?}", error.code), "errmsg": &error.message,
            },
        );
        label(command, error.code, reply);
    }
    if node.options.repl_set.is_some() {
        reply.insert("opTime", at.document());
    }
}

/// Tells a client that may send its write again that doing so can help.
pub(super) fn label(command: &Document, code: Code, reply: &mut Document) {
    let passing = [
        Code::NotWritablePrimary,
        Code::PrimarySteppedDown,
        Code::ShutdownInProgress,
        Code::InterruptedDueToReplStateChange,
    ];
    if command.contains_key("txnNumber") && passing.contains(&code) {
        reply.insert("errorLabels", vec!["RetryableWriteError"]);
    }
}

async fn try_await(node: &Node, command: &Document, at: OpTime) -> Result<(), CommandError> {
    let (wanted, limit) = {
        let state = node.lock();
        let concern = command
            .get_document("writeConcern")
            .ok()
            .filter(|concern| concern.contains_key("w"))
            .cloned();
        let limit = command.get_document("writeConcern").ok().and_then(timeout);
        let concern = concern.or_else(|| set_by_hand(&state));
        (wanted(node, &state, concern.as_ref())?, limit)
    };
    wait(node, &wanted, at, limit).await
}

fn timeout(concern: &Document) -> Option<Duration> {
    let millis = concern
        .get("wtimeout")
        .and_then(whole)
        .and_then(|millis| u64::try_from(millis).ok())?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

fn wanted(node: &Node, state: &State, concern: Option<&Document>) -> Result<Wanted, CommandError> {
    if node.options.repl_set.is_none() {
        return Ok(Wanted::Members(1));
    }
    let w = concern.and_then(|concern| concern.get("w"));
    let config = state.repl.config.as_ref();
    match w {
        None if implicit_majority(node, config) => Ok(Wanted::Majority),
        None => Ok(Wanted::Members(1)),
        Some(Bson::String(w)) if w == "majority" => Ok(Wanted::Majority),
        Some(Bson::String(w)) => fail(
            Code::UnknownReplWriteConcern,
            format!("No write concern mode named '{w}' found in replica set configuration"),
        ),
        Some(w) => {
            let count = whole(w).and_then(|w| usize::try_from(w).ok()).unwrap_or(1);
            let holders = config.map_or(1, |config| {
                config.members.iter().filter(|member| !member.arbiter).count()
            });
            if count > holders {
                return fail(Code::UnsatisfiableWriteConcern, "Not enough data-bearing nodes");
            }
            Ok(Wanted::Members(count))
        }
    }
}

async fn wait(node: &Node, wanted: &Wanted, at: OpTime, limit: Option<Duration>) -> Result<(), CommandError> {
    let has = |state: &State| {
        let mine = state.oplog.last();
        match wanted {
            Wanted::Majority => state.repl.commit >= at,
            Wanted::Members(count) => {
                let members = state.repl.config.iter().flat_map(|config| &config.members);
                let holders = members
                    .filter(|member| state.repl.optime_of(member.id, mine) >= at)
                    .count();
                holders.max(usize::from(mine >= at)) >= *count
            }
        }
    };
    let deposed = |state: &State| node.options.repl_set.is_some() && state.repl.state != MemberState::Primary;
    let ended = node.wait_until(limit, |state| has(state) || deposed(state)).await;
    if has(&node.lock()) {
        Ok(())
    } else if ended {
        fail(
            Code::PrimarySteppedDown,
            "Primary stepped down while waiting for replication",
        )
    } else {
        fail(Code::WriteConcernTimeout, "waiting for replication timed out")
    }
}

/// Waits until a majority has a write, however the command says its concern.
pub(super) async fn await_majority(node: &Node, at: OpTime, command: &Document) -> Result<(), CommandError> {
    let wanted = if node.options.repl_set.is_some() {
        Wanted::Majority
    } else {
        Wanted::Members(1)
    };
    let limit = command.get_document("writeConcern").ok().and_then(timeout);
    let limit = limit.or_else(|| crate::mongod::node::max_time(command));
    wait(node, &wanted, at, limit).await
}
